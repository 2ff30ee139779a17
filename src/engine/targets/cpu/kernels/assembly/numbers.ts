/**
 * @file exp, log and noise, four float32 at a time, after the polynomials of the Cephes library (Moshier).
 *
 * Against the exact value rounded to float32 both functions err by at most 2 units in the last place over the ranges
 * that they are used for; tests/unit/llm/cpu/numbers.test.ts holds them to it.
 */

/** Below this exp counts as 0: its last normal float32. */
const EXP_LEAST: f32 = -87.33654;

/** exp(x) of x ≤ 0, 0 below {@link EXP_LEAST}; NaN stays NaN. */
@inline
export function exp4(x: v128): v128 {
  const least = f32x4.splat(EXP_LEAST);
  const gone = f32x4.lt(x, least);
  let r = f32x4.pmax(x, least);
  const n = f32x4.nearest(f32x4.mul(r, f32x4.splat(1.44269504088896341)));
  r = f32x4.sub(r, f32x4.mul(n, f32x4.splat(0.693359375)));
  r = f32x4.sub(r, f32x4.mul(n, f32x4.splat(-2.12194440e-4)));
  let y = f32x4.splat(1.9875691500e-4);
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(1.3981999507e-3));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(8.3334519073e-3));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(4.1665795894e-2));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(1.6666665459e-1));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(5.0000001201e-1));
  y = f32x4.add(f32x4.add(f32x4.mul(y, f32x4.mul(r, r)), r), f32x4.splat(1));
  const power = i32x4.shl(i32x4.add(i32x4.trunc_sat_f32x4_s(n), i32x4.splat(127)), 23);
  return v128.andnot(f32x4.mul(y, power), gone);
}

/** ln(x) of normal x > 0. Near 1 the difference to 1 is exact, so the result keeps its relative precision. */
@inline
export function log4(x: v128): v128 {
  // x = 2^e · m with m in [√½, √2).
  const e = i32x4.shr_s(i32x4.sub(x, i32x4.splat(0x3f3504f3)), 23);
  const z = f32x4.sub(i32x4.sub(x, i32x4.shl(e, 23)), f32x4.splat(1));
  const exponent = f32x4.convert_i32x4_s(e);
  const square = f32x4.mul(z, z);
  let y = f32x4.splat(7.0376836292e-2);
  y = f32x4.add(f32x4.mul(y, z), f32x4.splat(-1.1514610310e-1));
  y = f32x4.add(f32x4.mul(y, z), f32x4.splat(1.1676998740e-1));
  y = f32x4.add(f32x4.mul(y, z), f32x4.splat(-1.2420140846e-1));
  y = f32x4.add(f32x4.mul(y, z), f32x4.splat(1.4249322787e-1));
  y = f32x4.add(f32x4.mul(y, z), f32x4.splat(-1.6668057665e-1));
  y = f32x4.add(f32x4.mul(y, z), f32x4.splat(2.0000714765e-1));
  y = f32x4.add(f32x4.mul(y, z), f32x4.splat(-2.4999993993e-1));
  y = f32x4.add(f32x4.mul(y, z), f32x4.splat(3.3333331174e-1));
  y = f32x4.mul(y, f32x4.mul(square, z));
  y = f32x4.add(y, f32x4.mul(exponent, f32x4.splat(-2.12194440e-4)));
  y = f32x4.sub(y, f32x4.mul(square, f32x4.splat(0.5)));
  return f32x4.add(f32x4.add(z, y), f32x4.mul(exponent, f32x4.splat(0.693359375)));
}

/** Exponentials of `count` floats in place, for checks of {@link exp4}. */
export function mapExp(at: usize, count: i32): i32 {
  for (let i = 0; i < count; i += 4, at += 16) v128.store(at, exp4(v128.load(at)));
  return 0;
}

/** Logarithms of `count` floats in place, for checks of {@link log4}. */
export function mapLog(at: usize, count: i32): i32 {
  for (let i = 0; i < count; i += 4, at += 16) v128.store(at, log4(v128.load(at)));
  return 0;
}
