/** @file What choosing tokens asks of logits. */
import { ParetoError } from "../../engine/errors.ts";

/**
 * Place of the largest logit, the first of equals.
 * @throws ParetoError LLM_LOGITS for one that is no number
 */
export function argmax(logits: Float32Array): number {
  let best = 0;
  for (let i = 0; i < logits.length; i++) {
    if (Number.isNaN(logits[i])) throw notNumber(i);
    if (logits[i]! > logits[best]!) best = i;
  }
  return best;
}

/**
 * ln Σ exp of logits, in float64.
 * @throws ParetoError LLM_LOGITS for one that is no number
 */
export function logSumExp(logits: Float32Array): number {
  const most = logits[argmax(logits)]!;
  let sum = 0;
  for (const x of logits) sum += Math.exp(x - most);
  return most + Math.log(sum);
}

function notNumber(token: number): ParetoError {
  return new ParetoError({
    code: "LLM_LOGITS",
    where: `token ${token}`,
    message: "the model's logits must be numbers, got NaN",
    fix: "Check that the weights were downloaded whole; values in them may overflow.",
  });
}
