/**
 * @file Detectors of training that has gone wrong: a loss that is not a number, a loss that runs away, and a
 * model that gives one answer to everything. AUC alone hides all three.
 */
import { ParetoError } from "../../base/errors.ts";

/** When a loss counts as run away. */
export interface LossGuardOptions {
  /** The smoothed loss may grow to this many times the best one. Defaults to 3. */
  factor?: number;
  /** The best loss is taken as no lower than this, so that noise around 0 is no alarm. Defaults to ln 2. */
  floor?: number;
  /** Steps over which the loss is smoothed. Defaults to 20. */
  window?: number;
}

/** The validation loss may be this many times the best one: overfitting alone, which early stopping sees to, stays below. */
const VALIDATION_FACTOR = 10;
const FIX =
  "Start a new run with a lower --lr (try a tenth of it); the checkpoints of this one stay as they are.";

/** Watches the losses of a training run, in order. */
export class LossGuard {
  readonly #factor: number;
  readonly #floor: number;
  readonly #window: number;
  #seen = 0;
  #smoothed = 0;
  #best = Number.POSITIVE_INFINITY;

  constructor({ factor = 3, floor = Math.LN2, window = 20 }: LossGuardOptions = {}) {
    this.#factor = factor;
    this.#floor = floor;
    this.#window = window;
  }

  /**
   * Takes the mean loss of a step, or of a few steps together.
   *
   * @throws ParetoError TRAIN_LOSS_NAN when it is NaN or infinite, TRAIN_DIVERGED when the smoothed loss exceeds
   *   `factor` times the best smoothed loss
   */
  observe(loss: number, step: number): void {
    if (!Number.isFinite(loss)) {
      throw new ParetoError({
        code: "TRAIN_LOSS_NAN",
        where: `step ${step}`,
        message: `the training loss is no longer a finite number, got ${loss}`,
        fix: FIX,
      });
    }
    this.#seen++;
    // A plain mean until the window is full, exponential smoothing after that.
    this.#smoothed += (loss - this.#smoothed) / Math.min(this.#seen, this.#window);
    if (this.#seen < this.#window) return;
    this.#best = Math.min(this.#best, this.#smoothed);
    const limit = this.#factor * Math.max(this.#best, this.#floor);
    if (this.#smoothed > limit) {
      throw new ParetoError({
        code: "TRAIN_DIVERGED",
        where: `step ${step}`,
        message: `the training loss has run away from its best of ${this.#best.toPrecision(4)}, got ${this.#smoothed.toPrecision(4)}`,
        fix: FIX,
      });
    }
  }

  /**
   * Takes the validation loss after an epoch, before its weights are saved: the last step of an epoch can be the one
   * that ruins them, and no training loss tells of it.
   *
   * @param best the lowest validation loss of earlier epochs, or null
   * @throws ParetoError TRAIN_LOSS_NAN, TRAIN_DIVERGED
   */
  observeValidation(loss: number, best: number | null, epoch: number): void {
    const where = `validation after epoch ${epoch}`;
    if (!Number.isFinite(loss)) {
      throw new ParetoError({
        code: "TRAIN_LOSS_NAN",
        where,
        message: `the validation loss is not a finite number, got ${loss}`,
        fix: FIX,
      });
    }
    const limit = VALIDATION_FACTOR * Math.max(best ?? 0, this.#floor);
    if (loss > limit) {
      throw new ParetoError({
        code: "TRAIN_DIVERGED",
        where,
        message: `the validation loss has run away: it may be ${limit.toPrecision(4)} at most, got ${loss.toPrecision(4)}`,
        fix: FIX,
      });
    }
  }
}

/**
 * Whether a model answers everything alike: all probabilities within `tolerance` of each other.
 * @param probabilities `[N]`
 * @returns false for fewer than two rows
 */
export function isConstantPrediction(probabilities: ArrayLike<number>, tolerance = 1e-6): boolean {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < probabilities.length; i++) {
    low = Math.min(low, probabilities[i]!);
    high = Math.max(high, probabilities[i]!);
  }
  return probabilities.length > 1 && high - low <= tolerance;
}
