/**
 * @file Stops training that has gone wrong: a loss that is not a number, or one that runs away. Its state is plain
 * JSON, so that a resumed run is guarded as one that was not stopped.
 */
import { ParetoError } from "../base/errors.ts";

/** When a loss counts as run away. */
export interface DivergenceGuardOptions {
  /** The smoothed loss may grow to this many times the best one. Defaults to 3. */
  factor?: number;
  /** The best loss is taken as no lower than this, so that noise around 0 is no alarm. Defaults to ln 2. */
  floor?: number;
  /** Steps over which the loss is smoothed. Defaults to 20. */
  window?: number;
  /** Where the learning rate is set, for the advice to lower it. Defaults to "learning rate". */
  learningRateOption?: string;
}

/** The validation loss may be this many times the best one: overfitting alone, which early stopping sees to, stays below. */
const VALIDATION_FACTOR = 10;

/** What a guard remembers. */
export interface DivergenceGuardState {
  /** Training losses seen. */
  seen: number;
  smoothed: number;
  /** The lowest smoothed loss; null before the window is full. */
  best: number | null;
  /** The lowest validation loss; null before the first. */
  bestValidation: number | null;
}

/** Watches the losses of a training run, in order. */
export class DivergenceGuard {
  readonly #factor: number;
  readonly #floor: number;
  readonly #window: number;
  readonly #fix: string;
  readonly #state: DivergenceGuardState;

  /** @param state to go on from, of {@link state} */
  constructor(
    {
      factor = 3,
      floor = Math.LN2,
      window = 20,
      learningRateOption = "learning rate",
    }: DivergenceGuardOptions = {},
    state?: DivergenceGuardState,
  ) {
    this.#factor = factor;
    this.#floor = floor;
    this.#window = window;
    this.#fix = `Start a new run with a lower ${learningRateOption} (try a tenth of it); the checkpoints of this one stay as they are.`;
    this.#state = { seen: 0, smoothed: 0, best: null, bestValidation: null, ...state };
  }

  /** A copy of what it remembers. */
  get state(): DivergenceGuardState {
    return { ...this.#state };
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
        fix: this.#fix,
      });
    }
    const state = this.#state;
    state.seen++;
    // A plain mean until the window is full, exponential smoothing after that.
    state.smoothed += (loss - state.smoothed) / Math.min(state.seen, this.#window);
    if (state.seen < this.#window) return;
    state.best = Math.min(state.best ?? state.smoothed, state.smoothed);
    const limit = this.#factor * Math.max(state.best, this.#floor);
    if (state.smoothed > limit) {
      throw new ParetoError({
        code: "TRAIN_DIVERGED",
        where: `step ${step}`,
        message: `the training loss has run away from its best of ${state.best.toPrecision(4)}, got ${state.smoothed.toPrecision(4)}`,
        fix: this.#fix,
      });
    }
  }

  /**
   * Takes the validation loss after an epoch, before its weights are saved: the last step of an epoch can be the one
   * that ruins them, and no training loss tells of it.
   *
   * @throws ParetoError TRAIN_LOSS_NAN, TRAIN_DIVERGED
   */
  observeValidation(loss: number, epoch: number): void {
    const where = `validation after epoch ${epoch}`;
    if (!Number.isFinite(loss)) {
      throw new ParetoError({
        code: "TRAIN_LOSS_NAN",
        where,
        message: `the validation loss is not a finite number, got ${loss}`,
        fix: this.#fix,
      });
    }
    const best = this.#state.bestValidation;
    const limit = VALIDATION_FACTOR * Math.max(best ?? 0, this.#floor);
    if (loss > limit) {
      throw new ParetoError({
        code: "TRAIN_DIVERGED",
        where,
        message: `the validation loss has run away: it may be ${limit.toPrecision(4)} at most, got ${loss.toPrecision(4)}`,
        fix: this.#fix,
      });
    }
    this.#state.bestValidation = Math.min(best ?? loss, loss);
  }
}
