/** @file What the memory can do, to relate the other kernels to: reads listed 64-byte lines, and nothing else. */

/** Reads the 64 bytes at `base + 64 · ids[i]` of `count` listed lines, and writes 16 bytes that depend on all. */
export function readLines(base: usize, ids: usize, count: i32, out: usize): i32 {
  let all = i32x4.splat(0);
  for (let i = 0; i < count; i++) {
    const line = base + (<usize>load<u32>(ids + (<usize>i << 2)) << 6);
    const low = v128.or(v128.load(line), v128.load(line, 16));
    all = v128.xor(all, v128.or(low, v128.or(v128.load(line, 32), v128.load(line, 48))));
  }
  v128.store(out, all);
  return 0;
}

/** Reads `bytes` bytes in a row (a multiple of 64), and writes 16 bytes that depend on all. */
export function readBytes(base: usize, bytes: usize, out: usize): i32 {
  let a = i32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  const end = base + bytes;
  for (let at = base; at < end; at += 64) {
    a = v128.xor(a, v128.load(at));
    b = v128.xor(b, v128.load(at, 16));
    c = v128.xor(c, v128.load(at, 32));
    d = v128.xor(d, v128.load(at, 48));
  }
  v128.store(out, v128.xor(v128.xor(a, b), v128.xor(c, d)));
  return 0;
}
