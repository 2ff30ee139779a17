/**
 * @file The best that any model can do on a log whose true click probabilities are known: AUC, log loss and
 * accuracy of those probabilities against the labels drawn from them. Streaming, in fixed memory.
 */

/** Quality of the true probabilities on a stretch of rows. */
export interface BayesQuality {
  /** NaN when the rows are all of one class. */
  auc: number;
  logLoss: number;
  accuracy: number;
}

/** Logits beyond ±BOUND fall in the outermost bins. */
const BOUND = 16;
/** Bins over the logits: two logits in one bin count as a tie, an error in the AUC far below 1e-6. */
const BINS = 2 ** 20;

/** Gathers (logit, label) pairs. */
export class BayesMeter {
  readonly #positives = new Float64Array(BINS);
  readonly #negatives = new Float64Array(BINS);
  #rows = 0;
  #loss = 0;
  #right = 0;

  /** Takes rows `from…to` of a block. */
  add(logits: Float64Array, labels: Uint8Array, from: number, to: number): void {
    for (let i = from; i < to; i++) {
      const logit = logits[i]!;
      const label = labels[i]!;
      const at = Math.floor(((logit + BOUND) / (2 * BOUND)) * BINS);
      const bin = Math.min(Math.max(at, 0), BINS - 1);
      (label === 1 ? this.#positives : this.#negatives)[bin]!++;
      this.#loss += Math.max(logit, 0) - logit * label + Math.log1p(Math.exp(-Math.abs(logit)));
      if (logit > 0 === (label === 1)) this.#right++;
    }
    this.#rows += to - from;
  }

  /** The quality over all rows taken so far. */
  quality(): BayesQuality {
    let below = 0;
    let positives = 0;
    let wins = 0;
    for (let bin = 0; bin < BINS; bin++) {
      wins += this.#positives[bin]! * (below + this.#negatives[bin]! / 2);
      below += this.#negatives[bin]!;
      positives += this.#positives[bin]!;
    }
    return {
      auc: positives === 0 || below === 0 ? Number.NaN : wins / (positives * below),
      logLoss: this.#loss / this.#rows,
      accuracy: this.#right / this.#rows,
    };
  }
}
