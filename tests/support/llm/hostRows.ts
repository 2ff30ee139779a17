/**
 * @file Attention of one query over the cached keys of one KV head, in TypeScript: logits, softmax, weighted values.
 * Products of float32 elements add up in float64; logits are rounded to float32 once.
 */

/**
 * Logits of a query and the keys `from` to `to`, at `out[outAt + from …]`.
 * @param q holds the query from `qAt` on
 * @param keys `[…, headDim]`
 */
export function logitsOf(
  q: Float32Array,
  qAt: number,
  keys: Float32Array,
  { from, to, headDim, scale }: { from: number; to: number; headDim: number; scale: number },
  out: Float32Array,
  outAt: number,
): void {
  // Four keys at a time, so that each element of the query is read once for all of them.
  let j = from;
  for (; j + 4 <= to; j += 4) {
    const at = j * headDim;
    let [a, b, c, d] = [0, 0, 0, 0];
    for (let i = 0; i < headDim; i++) {
      const x = q[qAt + i]!;
      const k = at + i;
      a += x * keys[k]!;
      b += x * keys[k + headDim]!;
      c += x * keys[k + 2 * headDim]!;
      d += x * keys[k + 3 * headDim]!;
    }
    out[outAt + j] = a * scale;
    out[outAt + j + 1] = b * scale;
    out[outAt + j + 2] = c * scale;
    out[outAt + j + 3] = d * scale;
  }
  for (; j < to; j++) {
    let a = 0;
    for (let i = 0; i < headDim; i++) a += q[qAt + i]! * keys[j * headDim + i]!;
    out[outAt + j] = a * scale;
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
    let j = from;
    for (; j + 4 <= to; j += 4) {
      const a = Math.exp(logits[at + j]! - most);
      const b = Math.exp(logits[at + j + 1]! - most);
      const c = Math.exp(logits[at + j + 2]! - most);
      const d = Math.exp(logits[at + j + 3]! - most);
      total += a + b + c + d;
      for (let i = 0, row = j * headDim; i < headDim; i++, row++) {
        sum[i]! +=
          a * values[row]! +
          b * values[row + headDim]! +
          (c * values[row + 2 * headDim]! + d * values[row + 3 * headDim]!);
      }
    }
    for (; j < to; j++) {
      const weight = Math.exp(logits[at + j]! - most);
      total += weight;
      for (let i = 0; i < headDim; i++) sum[i]! += weight * values[j * headDim + i]!;
    }
    for (let i = 0; i < headDim; i++) out[outAt + i] = sum[i]! / total;
  }
}
