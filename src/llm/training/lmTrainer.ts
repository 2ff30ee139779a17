/**
 * @file The loop of training: stages of batches, validation, checkpoints, an end by the clock. It can be stopped between
 * any two steps and goes on from its checkpoint to the same weights, bit for bit, unless the clock sets its pace.
 */
import { join } from "node:path";
import type { OnEvent } from "../../run/events.ts";
import { DivergenceGuard } from "../../run/divergenceGuard.ts";
import { RateMeter } from "../../run/rateMeter.ts";
import type { LmBatch, LmData } from "./lmData.ts";
import type { LmNetwork } from "./lmNetwork.ts";
import type { Recipe } from "./recipe.ts";
import { validate, type Validation } from "./validate.ts";

/** Where a run stands; kept in its checkpoint. */
export interface LmTrainerState {
  /** Steps done, and the texts and tokens in their batches. */
  step: number;
  texts: number;
  tokens: number;
  /** Seconds of training, without validation and checkpoints. */
  trainSeconds: number;
  /** The validation with the lowest loss and the step it came after; null before the first. */
  best: { validation: Validation; step: number } | null;
  /** Whether training has come to its end. */
  finished: boolean;
}

/** What a trainer needs. */
export interface LmTrainerOptions {
  network: LmNetwork;
  recipe: Recipe;
  data: LmData;
  /** Folder of the checkpoints `last` and `best`. */
  directory: string;
  /** Seconds since the start of the run. */
  clock: () => number;
  /** Second at which training ends; its stages and its learning rate come in time for that. */
  deadline?: number;
  onEvent: OnEvent;
  signal?: AbortSignal;
  state?: LmTrainerState;
}

/** The checkpoint that training goes on from. */
export const LAST = "last";
/** The checkpoint with the lowest validation loss. */
export const BEST = "best";

const CURVE_STEPS = 20;
const PROGRESS_MS = 100;
/** Steps asked for before the first of them has come back, so that the device never waits for the host. */
const IN_FLIGHT = 2;
/** What the learning rate falls to. */
const LAST_SHARE = 0.1;

/** Trains a network. */
export class LmTrainer {
  readonly #options: LmTrainerOptions;
  readonly #state: LmTrainerState;
  readonly #guard: DivergenceGuard;
  readonly #meter = new RateMeter();
  readonly #steps: number;
  readonly #started: number;
  #curve = { loss: 0, steps: 0 };
  #lastProgress = 0;
  /** Texts asked for, ahead of those done. */
  #textsAsked: number;

  constructor(options: LmTrainerOptions) {
    this.#options = options;
    const { recipe, data, state, clock } = options;
    this.#steps = recipe.stages.reduce((n, stage) => n + stage.steps, 0);
    this.#guard = new DivergenceGuard({ floor: Math.log(data.vocabulary) });
    this.#state = state ?? { step: 0, texts: 0, tokens: 0, trainSeconds: 0, best: null, finished: false };
    this.#textsAsked = this.#state.texts;
    this.#started = clock();
  }

  /** Where training stands. */
  get state(): Readonly<LmTrainerState> {
    return this.#state;
  }

  /**
   * Trains to the end, or until the signal.
   * @returns whether the end was reached
   * @throws ParetoError `TRAIN_LOSS_NAN`, `TRAIN_DIVERGED`; the last good checkpoint stays
   */
  async run(): Promise<boolean> {
    const state = this.#state;
    const { everySteps } = this.#options.recipe.validation;
    while (!state.finished) {
      const next = Math.min(this.#steps, (Math.floor(state.step / everySteps) + 1) * everySteps);
      if (!(await this.#trainTo(next))) {
        await this.#checkpoint(LAST);
        return false;
      }
      state.finished = state.step >= this.#steps || this.#isOver();
      await this.#validate();
    }
    return true;
  }

  /** @returns false when the signal stopped it before that step */
  async #trainTo(last: number): Promise<boolean> {
    const { network, data, signal, clock, onEvent } = this.#options;
    const state = this.#state;
    const [start, first, secondsBefore] = [clock(), state.step, state.trainSeconds];
    const flights: { step: number; texts: number; tokens: number; done: Promise<number> }[] = [];
    const land = async (): Promise<void> => {
      const { step, texts, tokens, done } = flights.shift()!;
      const loss = await done;
      this.#guard.observe(loss, step);
      state.step = step;
      state.texts += texts;
      state.tokens += tokens;
      state.trainSeconds = secondsBefore + clock() - start;
      this.#report(loss);
    };
    for (let step = first + 1; step <= last; step++) {
      if (signal?.aborted || this.#isOver()) break;
      const share = this.#shareAt(step);
      const { batchSize, length } = this.#stageAt(share);
      const from = this.#textsAsked;
      this.#textsAsked += batchSize;
      const shape = { texts: batchSize, length };
      const learningRate = this.#rateAt(step, share);
      const fill = (batch: LmBatch) => data.fill(batch, from, length);
      const done = network.train(shape, { step, share, learningRate }, fill);
      // It is awaited later; a failure before then must not count as unhandled.
      done.catch(() => undefined);
      flights.push({ step, texts: batchSize, tokens: batchSize * length, done });
      if (flights.length >= IN_FLIGHT) await land();
    }
    while (flights.length > 0) await land();
    onEvent({ event: "span", span: "train", start, end: clock(), detail: { batches: state.step - first } });
    return state.step === last || this.#isOver();
  }

  #isOver(): boolean {
    const { deadline, clock } = this.#options;
    return deadline !== undefined && clock() >= deadline;
  }

  /** Share of training that lies before a step: by steps, or by the clock where that is ahead. */
  #shareAt(step: number): number {
    const { deadline, clock } = this.#options;
    const timed = deadline === undefined ? 0 : (clock() - this.#started) / (deadline - this.#started);
    return Math.min(1, Math.max(step / this.#steps, timed));
  }

  #stageAt(share: number): Recipe["stages"][number] {
    const { stages } = this.#options.recipe;
    let left = share * this.#steps;
    // Shares of whole steps are not exact.
    return stages.find(({ steps }) => (left -= steps) < 1e-6) ?? stages.at(-1)!;
  }

  /** Linear warm-up, then half a cosine. */
  #rateAt(step: number, share: number): number {
    const { learningRate, warmupSteps } = this.#options.recipe.optimizer;
    const cosine = LAST_SHARE + (1 - LAST_SHARE) * 0.5 * (1 + Math.cos(Math.PI * share));
    return learningRate * cosine * Math.min(1, step / Math.max(1, warmupSteps));
  }

  #report(loss: number): void {
    const { onEvent } = this.#options;
    const { step, tokens, trainSeconds: seconds } = this.#state;
    this.#curve.loss += loss;
    this.#curve.steps++;
    if (this.#curve.steps === CURVE_STEPS || step === this.#steps) {
      const logLoss = this.#curve.loss / this.#curve.steps;
      onEvent({ event: "metrics", part: "train", epoch: 0, step, seconds, logLoss });
      this.#curve = { loss: 0, steps: 0 };
    }
    const now = performance.now();
    if (now - this.#lastProgress < PROGRESS_MS) return;
    this.#lastProgress = now;
    const rate = this.#meter.observe(step, now);
    const values = { loss, "tokens/s": Math.round(tokens / Math.max(1e-9, seconds)) };
    onEvent({
      event: "progress",
      task: "train",
      done: step,
      total: this.#steps,
      unit: "steps",
      rate,
      values,
    });
  }

  async #validate(): Promise<void> {
    const { network, data, onEvent } = this.#options;
    const state = this.#state;
    const validation = await this.#timed("evaluate", () => validate(network, data.validation));
    const { step, trainSeconds: seconds } = state;
    const { loss: logLoss, accuracy } = validation;
    const groups = Object.fromEntries(
      validation.groups.map(({ name, loss, accuracy, right }) => [name, { logLoss: loss, accuracy, right }]),
    );
    onEvent({ event: "metrics", part: "validation", epoch: 0, step, seconds, logLoss, accuracy, groups });
    // The best first: a run that dies between the two misses no checkpoint.
    if (state.best === null || logLoss < state.best.validation.loss) {
      state.best = { validation, step };
      await this.#checkpoint(BEST);
    }
    await this.#checkpoint(LAST);
  }

  async #checkpoint(name: string): Promise<void> {
    const { network, directory } = this.#options;
    const state = JSON.parse(JSON.stringify(this.#state)) as Record<string, never>;
    await this.#timed("checkpoint", () => network.save(join(directory, name), state));
  }

  async #timed<T>(span: string, work: () => Promise<T>): Promise<T> {
    const { clock, onEvent } = this.#options;
    const start = clock();
    const value = await work();
    onEvent({ event: "span", span, start, end: clock() });
    return value;
  }
}
