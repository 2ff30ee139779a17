/**
 * @file The training curve: loss and AUC of the inputs since its last point. Each input is judged just before it is
 * learned from, so in the first epoch this is quality on unseen data.
 */
import { auc } from "../../run/metrics/auc.ts";
import type { Quality } from "../../run/task.ts";
import type { StepReport } from "./stepPipeline.ts";

/** Gathers steps into points. */
export class TrainingCurve {
  #loss = 0;
  #logits: Float32Array[] = [];
  #labels: Float32Array[] = [];

  /** Takes a finished step. */
  add({ size, loss, logits, labels }: StepReport): void {
    this.#loss += loss * size;
    this.#logits.push(logits.slice());
    this.#labels.push(labels.slice());
  }

  /** The point of the steps so far, and a fresh start; `auc` is left out where there was one class only. */
  take(): Quality | null {
    if (this.#logits.length === 0) return null;
    const logits = joined(this.#logits);
    const area = auc(logits, joined(this.#labels));
    const logLoss = this.#loss / logits.length;
    this.#loss = 0;
    this.#logits = [];
    this.#labels = [];
    return Number.isNaN(area) ? { logLoss } : { logLoss, auc: area };
  }
}

/** Arrays end to end. */
function joined(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
