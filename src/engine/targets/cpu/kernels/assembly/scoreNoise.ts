/**
 * @file Noise for scores (arXiv 2403.09054): a pure function of seed, stream, layer, query head, query position and
 * key position, by Philox4x32-10 (Salmon et al., SC'11). The numbers are those of `src/llm/kv/noise.ts` within the
 * rounding of float32.
 */
import { log4 } from "./numbers";

const M0: u32 = 0xd2511f53;
const M1: u32 = 0xcd9e8d57;
const W0: u32 = 0x9e3779b9;
const W1: u32 = 0xbb67ae85;

/** Kinds of noise; the host's numbers for them are in `src/llm/cpu/cacheView.ts`. */
const GUMBEL = 1;
const GAUSSIAN = 2;
const CONSTANT = 3;

/** Mean and deviation of Gumbel(0, 1). */
const GUMBEL_MEAN: f32 = 0.5772156649015329;
const GUMBEL_DEVIATION: f32 = 1.282549830161864;

/** What a query head's row of noise is keyed by. */
let query: u32 = 0;
let layerAndHead: u32 = 0;
let stream: u32 = 0;
let keyLow: u32 = 0;
let keyHigh: u32 = 0;

/** Sets what the next rows of noise are keyed by. */
@inline
export function keyNoise(ofQuery: u32, layer: u32, head: u32, ofStream: u32, seedLow: u32, seedHigh: u32): void {
  query = ofQuery;
  layerAndHead = (layer << 16) | head;
  stream = ofStream;
  keyLow = seedLow;
  keyHigh = seedHigh;
}

@inline
function lowHalves(a: v128, b: v128): v128 {
  return i32x4.shuffle(a, b, 0, 2, 4, 6);
}

@inline
function highHalves(a: v128, b: v128): v128 {
  return i32x4.shuffle(a, b, 1, 3, 5, 7);
}

/**
 * Word 0 of the blocks of four key positions, or word 1. Of the first two rounds and the last one, what no later word needs or
 * what is the same for every key is left out of the vectors.
 */
@inline
function words4(positions: v128, word: i32): v128 {
  const m0 = i32x4.splat(M0);
  const m1 = i32x4.splat(M1);
  // Round 1: counter (position, query, layer and head, stream).
  const p1 = <u64>M1 * <u64>layerAndHead;
  let a = i64x2.extmul_low_i32x4_u(positions, m0);
  let b = i64x2.extmul_high_i32x4_u(positions, m0);
  const c0 = <u32>(p1 >> 32) ^ query ^ keyLow;
  const c1 = <u32>p1;
  let v2 = v128.xor(highHalves(a, b), i32x4.splat(stream ^ keyHigh));
  let v3 = lowHalves(a, b);
  let k0 = keyLow + W0;
  let k1 = keyHigh + W1;
  // Round 2.
  const p0 = <u64>M0 * <u64>c0;
  a = i64x2.extmul_low_i32x4_u(v2, m1);
  b = i64x2.extmul_high_i32x4_u(v2, m1);
  let v0 = v128.xor(highHalves(a, b), i32x4.splat(c1 ^ k0));
  let v1 = lowHalves(a, b);
  v2 = v128.xor(v3, i32x4.splat(<u32>(p0 >> 32) ^ k1));
  v3 = i32x4.splat(<u32>p0);
  k0 += W0;
  k1 += W1;
  // Rounds 3 to 9.
  for (let round = 0; round < 7; round++) {
    a = i64x2.extmul_low_i32x4_u(v0, m0);
    b = i64x2.extmul_high_i32x4_u(v0, m0);
    const c = i64x2.extmul_low_i32x4_u(v2, m1);
    const d = i64x2.extmul_high_i32x4_u(v2, m1);
    v0 = v128.xor(v128.xor(highHalves(c, d), v1), i32x4.splat(k0));
    v1 = lowHalves(c, d);
    v2 = v128.xor(v128.xor(highHalves(a, b), v3), i32x4.splat(k1));
    v3 = lowHalves(a, b);
    k0 += W0;
    k1 += W1;
  }
  // Round 10, the wanted word alone.
  a = i64x2.extmul_low_i32x4_u(v2, m1);
  b = i64x2.extmul_high_i32x4_u(v2, m1);
  return word == 0 ? v128.xor(v128.xor(highHalves(a, b), v1), i32x4.splat(k0)) : lowHalves(a, b);
}

/** ((word >>> 9) + ½) · 2^-23, exact and never 0 or 1. */
@inline
function openUniforms(words: v128): v128 {
  const numbers = f32x4.convert_i32x4_s(i32x4.shr_u(words, 9));
  return f32x4.mul(f32x4.add(numbers, f32x4.splat(0.5)), f32x4.splat(1.1920928955078125e-7));
}

/** −ln(−ln u) of four key positions. */
@inline
function gumbels(positions: v128): v128 {
  return f32x4.neg(log4(f32x4.neg(log4(openUniforms(words4(positions, 0))))));
}

/** cos(2πu) of u in (0, 1) as 1 − 2 sin²(π · distance), with u's distance to 0 or 1, or mirrored to ½. */
function turnCosines(u: v128): v128 {
  const distance = f32x4.abs(f32x4.sub(u, f32x4.nearest(u)));
  const isFar = f32x4.gt(distance, f32x4.splat(0.25));
  const near = v128.bitselect(f32x4.sub(f32x4.splat(0.5), distance), distance, isFar);
  const x = f32x4.mul(near, f32x4.splat(3.14159265358979));
  const square = f32x4.mul(x, x);
  let y = f32x4.splat(-1.9515295891e-4);
  y = f32x4.add(f32x4.mul(y, square), f32x4.splat(8.3321608736e-3));
  y = f32x4.add(f32x4.mul(y, square), f32x4.splat(-1.6666654611e-1));
  const sine = f32x4.add(f32x4.mul(y, f32x4.mul(square, x)), x);
  const cosine = f32x4.sub(f32x4.splat(1), f32x4.mul(f32x4.splat(2), f32x4.mul(sine, sine)));
  return v128.bitselect(f32x4.neg(cosine), cosine, isFar);
}

/** Box and Muller's normals of words 0 and 1, with Gumbel's mean and deviation. */
function gaussians(positions: v128): v128 {
  const logarithms = log4(openUniforms(words4(positions, 0)));
  const radius = f32x4.sqrt(f32x4.mul(f32x4.splat(-2), logarithms));
  const normal = f32x4.mul(radius, turnCosines(openUniforms(words4(positions, 1))));
  return f32x4.add(f32x4.splat(GUMBEL_MEAN), f32x4.mul(f32x4.splat(GUMBEL_DEVIATION), normal));
}

/** The noise of four key positions, by kind: 0 gives none. */
@inline
export function noise4(kind: i32, positions: v128): v128 {
  if (kind == GUMBEL) return gumbels(positions);
  if (kind == CONSTANT) return f32x4.splat(GUMBEL_MEAN);
  if (kind == GAUSSIAN) return gaussians(positions);
  return f32x4.splat(0);
}

/**
 * The noise of `count` key positions from 0 on (a multiple of 4) for one query and head, as scoring draws it.
 */
export function fillNoise(
  target: usize,
  count: i32,
  kind: i32,
  ofQuery: u32,
  layer: u32,
  head: u32,
  ofStream: u32,
  seedLow: u32,
  seedHigh: u32,
): i32 {
  keyNoise(ofQuery, layer, head, ofStream, seedLow, seedHigh);
  let positions = i32x4(0, 1, 2, 3);
  const step = i32x4.splat(4);
  for (let i = 0; i < count; i += 4, target += 16) {
    v128.store(target, noise4(kind, positions));
    positions = i32x4.add(positions, step);
  }
  return 0;
}
