/**
 * @file Quantiles behind intervals: Student's t, and the exact upper limit of a Poisson mean for counts too small for a
 * t-interval.
 */

/**
 * The `probability` quantile of Student's t distribution.
 * @param probability in (0.5, 1)
 * @param degrees degrees of freedom, ≥ 1
 * @returns e.g. 3.601 for 0.9995 and 34
 */
export function studentQuantile(probability: number, degrees: number): number {
  // P(|T| > t) = I_x(v/2, 1/2) with x = v / (v + t²): bracket t, then halve; 60 halvings are beyond float64.
  const tail = 2 * (1 - probability);
  const tailAt = (t: number) => incompleteBeta(degrees / (degrees + t * t), degrees / 2, 0.5);
  let high = 1;
  while (tailAt(high) > tail) high *= 2;
  let low = 0;
  for (let step = 0; step < 60; step++) {
    const middle = (low + high) / 2;
    if (tailAt(middle) > tail) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/**
 * Largest Poisson mean under which seeing `count` or fewer has at least probability `tail` (Garwood's exact
 * limit, 1936): 7.60 for a count of 0 at 0.0005.
 */
export function poissonUpperLimit(count: number, tail: number): number {
  const atMost = (mean: number) => {
    let term = Math.exp(-mean);
    let sum = term;
    for (let k = 1; k <= count; k++) sum += term *= mean / k;
    return sum;
  };
  let low = count;
  let high = count + 1;
  while (atMost(high) > tail) high *= 2;
  for (let step = 0; step < 60; step++) {
    const middle = (low + high) / 2;
    if (atMost(middle) > tail) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** Regularised incomplete beta I_x(a, b) by its continued fraction (modified Lentz). */
function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  // The fraction converges fast on this side only; the other side is its mirror image.
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a);
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log(1 - x));
  const tiny = 1e-300;
  const guard = (value: number) => (Math.abs(value) < tiny ? tiny : value);
  let c = 1;
  let d = 1 / guard(1 - ((a + b) * x) / (a + 1));
  let fraction = d;
  for (let m = 1; m <= 500; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / guard(1 + even * d);
    c = guard(1 + even / c);
    fraction *= d * c;
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / guard(1 + odd * d);
    c = guard(1 + odd / c);
    const change = d * c;
    fraction *= change;
    if (Math.abs(change - 1) < 1e-15) break;
  }
  return (front * fraction) / a;
}

/** ln Γ(z) for z > 0: Stirling's series from 10 on, reached by the recurrence; relative error below 1e-10. */
function logGamma(z: number): number {
  let shift = 0;
  while (z < 10) shift -= Math.log(z++);
  const series = 1 / (12 * z) - 1 / (360 * z ** 3) + 1 / (1260 * z ** 5);
  return shift + (z - 0.5) * Math.log(z) - z + 0.5 * Math.log(2 * Math.PI) + series;
}
