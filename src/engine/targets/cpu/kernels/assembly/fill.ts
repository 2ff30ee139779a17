/** @file Filling memory: with a constant, or with Philox4x32-10 uniform numbers (Salmon et al., SC'11). */

const M0: u64 = 0xd2511f53;
const M1: u64 = 0xcd9e8d57;
const W0: u32 = 0x9e3779b9;
const W1: u32 = 0xbb67ae85;

/** Writes `count` floats of one value. */
export function fillValue(target: usize, count: i32, value: f32): i32 {
  const vector = f32x4.splat(value);
  let at = target;
  const end = target + (<usize>count << 2);
  const vectorEnd = target + (<usize>(count & ~3) << 2);
  for (; at < vectorEnd; at += 16) v128.store(at, vector);
  for (; at < end; at += 4) store<f32>(at, value);
  return 0;
}

/** A 32-bit word as a uniform number in [-bound, bound): (word >>> 8) · 2^-23 − 1 is exact in f32. */
@inline
function uniform(word: u32, bound: f32): f32 {
  return (<f32>(word >>> 8) * <f32>1.1920928955078125e-7 - <f32>1) * bound;
}

/**
 * Fills rows with U(-bound, bound). Element e of row r takes word e & 3 of the block with counter
 * (e >>> 2, r, stream, 1) and key (seedLow, seedHigh): a pure function of seed, stream, row and element. The 1
 * keeps these blocks apart from those of a sequential generator, whose fourth counter word is 0.
 */
export function fillUniform(
  target: usize,
  firstRow: u32,
  count: i32,
  dim: i32,
  stride: i32,
  stream: u32,
  seedLow: u32,
  seedHigh: u32,
  bound: f32,
): i32 {
  for (let i = 0; i < count; i++) {
    const row = target + <usize>i * <usize>stride;
    for (let e = 0; e < dim; e += 4) {
      let c0: u32 = <u32>e >>> 2;
      let c1: u32 = firstRow + <u32>i;
      let c2: u32 = stream;
      let c3: u32 = 1;
      let k0 = seedLow;
      let k1 = seedHigh;
      for (let round = 0; round < 10; round++) {
        const p0 = M0 * <u64>c0;
        const p1 = M1 * <u64>c2;
        c0 = <u32>(p1 >>> 32) ^ c1 ^ k0;
        c1 = <u32>p1;
        c2 = <u32>(p0 >>> 32) ^ c3 ^ k1;
        c3 = <u32>p0;
        k0 += W0;
        k1 += W1;
      }
      const at = row + (<usize>e << 2);
      store<f32>(at, uniform(c0, bound));
      if (e + 1 < dim) store<f32>(at + 4, uniform(c1, bound));
      if (e + 2 < dim) store<f32>(at + 8, uniform(c2, bound));
      if (e + 3 < dim) store<f32>(at + 12, uniform(c3, bound));
    }
  }
  return 0;
}
