/**
 * @file Attention of one query over the cached keys of one KV head, in TypeScript: logits, softmax, weighted values.
 * Products of float32 elements add up in float64; logits are rounded to float32 once.
 */

/**
 * Logits of a query and the first `count` keys.
 * @param q holds the query from `qAt` on
 * @param keys `[…, D]`, rows from `keysAt` on
 */
export function logitsOf(
  q: Float32Array,
  qAt: number,
  keys: Float32Array,
  { from, to, headDim, scale }: { from: number; to: number; headDim: number; scale: number },
  out: Float32Array,
  outAt: number,
): void {
  const whole = headDim - (headDim % 4);
  for (let j = from; j < to; j++) {
    const at = j * headDim;
    let [a, b, c, d] = [0, 0, 0, 0];
    let i = 0;
    for (; i < whole; i += 4) {
      a += q[qAt + i]! * keys[at + i]!;
      b += q[qAt + i + 1]! * keys[at + i + 1]!;
      c += q[qAt + i + 2]! * keys[at + i + 2]!;
      d += q[qAt + i + 3]! * keys[at + i + 3]!;
    }
    for (; i < headDim; i++) a += q[qAt + i]! * keys[at + i]!;
    out[outAt + j] = (a + b + (c + d)) * scale;
  }
}

/** softmax(logits)·values of rows `from` to `to`, at `out[outAt …]`. */
export class WeightedValues {
  readonly #headDim: number;
  readonly #sum: Float64Array;

  constructor(headDim: number) {
    this.#headDim = headDim;
    this.#sum = new Float64Array(headDim);
  }

  write(
    logits: Float32Array,
    at: number,
    { from, to }: { from: number; to: number },
    values: Float32Array,
    out: Float32Array,
    outAt: number,
  ): void {
    const headDim = this.#headDim;
    const sum = this.#sum.fill(0);
    let most = Number.NEGATIVE_INFINITY;
    for (let j = from; j < to; j++) if (logits[at + j]! > most) most = logits[at + j]!;
    let total = 0;
    for (let j = from; j < to; j++) {
      const weight = Math.exp(logits[at + j]! - most);
      if (weight === 0) continue;
      total += weight;
      const row = j * headDim;
      for (let i = 0; i < headDim; i++) sum[i]! += weight * values[row + i]!;
    }
    for (let i = 0; i < headDim; i++) out[outAt + i] = sum[i]! / total;
  }
}
