/**
 * @file Products of few rows with a matrix `[outputs, inputs]`: what decoding does most, limited by how fast weights
 * are read. A weight row is read from its start to its end, which is what processors fetch ahead best, and used for
 * all rows while it is in the nearest cache. A result does not depend on the other rows.
 */

/** The sum of products of two runs of floats: eight vectors of sums, added in one order. */
@inline
function dotRun(x: usize, weights: usize, count: i32): f32 {
  let a = f32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  let e = a;
  let f = a;
  let g = a;
  let h = a;
  let at: usize = 0;
  const blocks = <usize>(count & ~31) << 2;
  for (; at < blocks; at += 128) {
    a = f32x4.add(a, f32x4.mul(v128.load(x + at), v128.load(weights + at)));
    b = f32x4.add(b, f32x4.mul(v128.load(x + at, 16), v128.load(weights + at, 16)));
    c = f32x4.add(c, f32x4.mul(v128.load(x + at, 32), v128.load(weights + at, 32)));
    d = f32x4.add(d, f32x4.mul(v128.load(x + at, 48), v128.load(weights + at, 48)));
    e = f32x4.add(e, f32x4.mul(v128.load(x + at, 64), v128.load(weights + at, 64)));
    f = f32x4.add(f, f32x4.mul(v128.load(x + at, 80), v128.load(weights + at, 80)));
    g = f32x4.add(g, f32x4.mul(v128.load(x + at, 96), v128.load(weights + at, 96)));
    h = f32x4.add(h, f32x4.mul(v128.load(x + at, 112), v128.load(weights + at, 112)));
  }
  a = f32x4.add(f32x4.add(f32x4.add(a, b), f32x4.add(c, d)), f32x4.add(f32x4.add(e, f), f32x4.add(g, h)));
  const vectors = <usize>(count & ~3) << 2;
  for (; at < vectors; at += 16) a = f32x4.add(a, f32x4.mul(v128.load(x + at), v128.load(weights + at)));
  let sum =
    f32x4.extract_lane(a, 0) +
    f32x4.extract_lane(a, 1) +
    (f32x4.extract_lane(a, 2) + f32x4.extract_lane(a, 3));
  for (const end = <usize>count << 2; at < end; at += 4) {
    sum += load<f32>(x + at) * load<f32>(weights + at);
  }
  return sum;
}

/**
 * Multiplies rows by the outputs `from` to `to` of a matrix.
 * @param x `[rows, inputs]`
 * @param weights `[outputs, inputs]`
 * @param out `[rows, outputs]`
 */
export function multiplyRows(
  x: usize,
  rows: i32,
  inputs: i32,
  weights: usize,
  outputs: i32,
  from: i32,
  to: i32,
  out: usize,
): i32 {
  const inputBytes = <usize>inputs << 2;
  const outputBytes = <usize>outputs << 2;
  for (let output = from; output < to; output++) {
    const row = weights + <usize>output * inputBytes;
    let target = out + (<usize>output << 2);
    let input = x;
    for (let i = 0; i < rows; i++) {
      store<f32>(target, dotRun(input, row, inputs));
      target += outputBytes;
      input += inputBytes;
    }
  }
  return 0;
}
