/** @file What choosing tokens asks of logits. */
import { ParetoError } from "../../base/errors.ts";

/** So many are found by insertion into a list, more by sorting all. */
const MOST_INSERTED = 1024;

/**
 * Place of the largest logit, the first of equals.
 * @throws ParetoError LLM_LOGITS for one that is no number
 */
export function argmax(logits: Float32Array): number {
  let best = 0;
  for (let i = 0; i < logits.length; i++) {
    if (Number.isNaN(logits[i])) throw notNumber(i, logits[i]);
    if (logits[i]! > logits[best]!) best = i;
  }
  return best;
}

/**
 * Refuses rows that no text can go on from. A hidden state with a number that is not finite leaves no logit finite, so
 * the first logit of a row tells.
 * @param logits `[rows, vocabulary]`
 * @throws ParetoError LLM_LOGITS
 */
export function requireLogits(logits: Float32Array, vocabulary: number): void {
  for (let first = 0; first < logits.length; first += vocabulary) {
    if (!Number.isFinite(logits[first])) throw notNumber(0, logits[first]);
  }
}

/**
 * ln Σ exp of logits, in float64.
 * @throws ParetoError LLM_LOGITS for one that is no number
 */
export function logSumExp(logits: Float32Array): number {
  const most = logits[argmax(logits)]!;
  let sum = 0;
  for (let i = 0; i < logits.length; i++) sum += Math.exp(logits[i]! - most);
  return most + Math.log(sum);
}

/** Places of the `count` largest logits, largest first, of equals the first one; all where there are no more. */
export function largest(logits: Float32Array, count: number): number[] {
  if (count > MOST_INSERTED) return sorted(logits).slice(0, count);
  const best: number[] = [];
  let least = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < logits.length; i++) {
    const x = logits[i]!;
    if (best.length === count && x <= least) continue;
    let place = best.length;
    while (place > 0 && x > logits[best[place - 1]!]!) place--;
    best.splice(place, 0, i);
    if (best.length > count) best.pop();
    least = logits[best.at(-1)!]!;
  }
  return best;
}

/** All places, by numbers that hold a logit's rank and its place, since numbers sort several times as fast as pairs. */
function sorted(logits: Float32Array): number[] {
  const places = 2 ** Math.ceil(Math.log2(logits.length));
  // Adding 0 makes −0 equal to 0.
  const bits = new Uint32Array(logits.map((x) => x + 0).buffer);
  const keys = Float64Array.from(bits, (word, place) => {
    const rising = word >>> 31 === 0 ? word + 2 ** 31 : 2 ** 32 - 1 - word;
    return (2 ** 32 - 1 - rising) * places + place;
  });
  return Array.from(keys.sort(), (key) => key % places);
}

/** @param logit NaN, or ±∞ where the hidden state was not finite; undefined where it stayed on a device */
export function notNumber(token: number, logit?: number): ParetoError {
  return new ParetoError({
    code: "LLM_LOGITS",
    where: `token ${token}`,
    message: `the model's logits must be finite numbers, got ${logit ?? "one that is not"}`,
    fix: "Check that the weights were downloaded whole, and that the dtype holds the model's activations: bf16 has float32's range, f16 has not.",
  });
}
