/**
 * @file The outer loop of training: epochs of a strategy's phases, validation, early stopping, checkpoints. It can be
 * stopped between any two steps and goes on from its checkpoint to the same weights, bit for bit.
 */
import { join } from "node:path";
import type { EncodedDataset } from "../data/encode/encodedDataset.ts";
import { invariant } from "../../base/errors.ts";
import { polynomialDecay } from "../../nn/schedules.ts";
import type { OnEvent } from "../../run/events.ts";
import type { BinaryMetrics } from "../../run/metrics/binary.ts";
import { DivergenceGuard } from "../../run/divergenceGuard.ts";
import type { StrategyName, TrainingSegment, TrainingStrategy } from "../strategies/strategy.ts";
import type { ClickNetwork } from "./clickNetwork.ts";
import { evaluate } from "./evaluate.ts";
import { RateMeter } from "../../run/rateMeter.ts";
import type { TrainingSettings } from "./settings.ts";
import type { StepReport } from "./stepPipeline.ts";
import { TrainingCurve } from "./trainingCurve.ts";

/** Where a run stands; kept in its checkpoint. */
export interface TrainerState {
  /** Epochs done. */
  epoch: number;
  /** Optimizer steps done. */
  step: number;
  /** Samples trained, and seconds spent training them. */
  samples: number;
  trainSeconds: number;
  /** Best validation log loss so far and the epochs (done) it came after; null before the first. */
  best: { logLoss: number; epoch: number } | null;
  /** Whether training has come to its end. */
  finished: boolean;
  strategyName: StrategyName;
  strategy: unknown;
}

/** What a trainer needs. */
export interface TrainerOptions {
  network: ClickNetwork;
  strategy: TrainingStrategy;
  settings: TrainingSettings;
  train: EncodedDataset;
  validation: EncodedDataset;
  /** Folder of the checkpoints `last` and `best`. */
  directory: string;
  /** Seconds since the start of the run. */
  clock: () => number;
  onEvent: OnEvent;
  /** Stops training, with a checkpoint, after the step under way. */
  signal?: AbortSignal;
  /** Where to go on; the network's weights are those of the same checkpoint. */
  state?: TrainerState;
}

/** Inputs of the fixed validation slice that a strategy's scheduler looks at: at most this many, */
const SLICE_INPUTS = 16_384;
/** and beyond so many, at most this share of the training inputs, so that looking costs little beside training. */
const SLICE_SHARE = 0.01;
const SLICE_LEAST = 2048;
/** Points of the training curve in an epoch. */
const CURVE_POINTS = 100;
const PROGRESS_MS = 100;

/** The checkpoint that training goes on from. */
export const LAST = "last";
/** The checkpoint with the best validation log loss. */
export const BEST = "best";

/** Runs a strategy. */
export class Trainer {
  readonly #options: TrainerOptions;
  readonly #state: TrainerState;
  readonly #guard = new DivergenceGuard();
  readonly #meter = new RateMeter();
  readonly #epochSteps: number;
  readonly #curve = new TrainingCurve();
  #lastProgress = 0;

  constructor(options: TrainerOptions) {
    this.#options = options;
    this.#epochSteps = options.train.batchCount(options.settings.batchSize);
    this.#state = options.state ?? {
      epoch: 0,
      step: 0,
      samples: 0,
      trainSeconds: 0,
      best: null,
      finished: false,
      strategyName: options.strategy.name,
      strategy: null,
    };
  }

  /** A copy of where training stands. */
  get state(): TrainerState {
    const { strategy } = this.#options;
    return { ...this.#state, strategyName: strategy.name, strategy: strategy.state() };
  }

  /**
   * Trains to the end, or until the signal.
   * @returns whether the end was reached
   * @throws ParetoError `TRAIN_LOSS_NAN`, `TRAIN_DIVERGED`; the last good checkpoint stays
   */
  async run(): Promise<boolean> {
    const { settings, strategy, signal } = this.#options;
    while (!this.#state.finished) {
      if (!(await this.#trainEpoch())) {
        // The signal may come between two hot segments, when the newest rows are not in the master tables.
        await strategy.flush();
        await this.#checkpoint(LAST);
        return false;
      }
      await strategy.flush();
      this.#state.epoch++;
      const { logLoss } = await this.#validate();
      const { best, epoch } = this.#state;
      this.#guard.observeValidation(logLoss, epoch);
      const isBest = best === null || logLoss < best.logLoss;
      if (isBest) this.#state.best = { logLoss, epoch };
      this.#state.finished = epoch >= settings.epochs || epoch - this.#state.best!.epoch >= settings.patience;
      strategy.startEpoch();
      // The best first: a run that dies between the two does this epoch's end again, and misses no checkpoint.
      if (isBest && settings.epochs > 1) await this.#checkpoint(BEST);
      await this.#checkpoint(LAST);
      if (signal?.aborted && !this.#state.finished) return false;
    }
    return true;
  }

  /** @returns false when the signal stopped it before the epoch's end */
  async #trainEpoch(): Promise<boolean> {
    const { strategy, signal } = this.#options;
    for (;;) {
      const start = performance.now();
      await strategy.segmentEnded(() => this.#sliceLoss());
      const phase = await strategy.next();
      this.#state.trainSeconds += (performance.now() - start) / 1000;
      if (!phase) return true;
      if (signal?.aborted) return false;
      await this.#trainSegment(phase);
      if (signal?.aborted) return false;
    }
  }

  async #trainSegment({ name, count, plans }: TrainingSegment): Promise<void> {
    const { network, settings, strategy, clock, onEvent, signal } = this.#options;
    const { batchSize, seed } = settings;
    const start = clock();
    const shuffle = { seed, epoch: this.#state.epoch };
    const { steps, batches } = await network.pipeline.train({
      plans: plans({ batchSize, shuffle, recycle: 4 }),
      stepsDone: this.#state.step,
      learningRate: (step) => this.learningRate(step),
      onStep: (report) => {
        this.#guard.observe(report.loss, report.step);
        this.#state.samples += report.size;
        this.#report(report, start);
        return !signal?.aborted;
      },
    });
    invariant(batches > 0, `a ${name} segment of ${count} batches has batches to train`);
    strategy.completed(batches);
    this.#state.step += steps;
    const end = clock();
    this.#state.trainSeconds += end - start;
    onEvent({ event: "span", span: name, start, end, detail: { batches } });
  }

  /** The rate at a 1-based step. */
  learningRate(step: number): number {
    const { learningRate: base, decay, epochs } = this.#options.settings;
    const decaySteps = decay === "linear" ? epochs * this.#epochSteps : 0;
    return polynomialDecay({ base, warmupSteps: 0, decayStart: 0, decaySteps, power: 1 }, step);
  }

  #report(report: StepReport, phaseStart: number): void {
    const { onEvent, clock, settings, train } = this.#options;
    const { epoch, samples, trainSeconds } = this.#state;
    const { step, loss } = report;
    this.#curve.add(report);
    if (step % Math.max(1, Math.floor(this.#epochSteps / CURVE_POINTS)) === 0) {
      const seconds = trainSeconds + clock() - phaseStart;
      onEvent({ event: "metrics", part: "train", epoch, step, seconds, ...this.#curve.point() });
    }
    const now = performance.now();
    if (now - this.#lastProgress < PROGRESS_MS) return;
    this.#lastProgress = now;
    const total = settings.epochs * train.rows;
    const rate = this.#meter.observe(samples, now);
    onEvent({
      event: "progress",
      task: "train",
      done: samples,
      total,
      unit: "samples",
      rate,
      values: { epoch, loss },
    });
  }

  async #sliceLoss(): Promise<number> {
    const { network, train, validation } = this.#options;
    const limit = Math.min(SLICE_INPUTS, Math.max(SLICE_LEAST, Math.floor(SLICE_SHARE * train.rows)));
    return (await this.#timed("evaluate", () => evaluate(network, validation, { limit }))).logLoss;
  }

  async #validate(): Promise<BinaryMetrics> {
    const { network, validation, onEvent } = this.#options;
    const metrics = await this.#timed("evaluate", () => evaluate(network, validation));
    const { epoch, step, trainSeconds: seconds } = this.#state;
    const { logLoss, auc, accuracy } = metrics;
    onEvent({ event: "metrics", part: "validation", epoch, step, seconds, logLoss, auc, accuracy });
    if (metrics.constant) {
      const message = `After epoch ${epoch} the model gives every validation input the same probability: lower --lr, or look at the inputs.`;
      onEvent({ event: "notice", level: "warning", code: "TRAIN_CONSTANT", message });
    }
    return metrics;
  }

  async #checkpoint(name: string): Promise<void> {
    const { network, directory } = this.#options;
    const state = JSON.parse(JSON.stringify(this.state)) as never;
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
