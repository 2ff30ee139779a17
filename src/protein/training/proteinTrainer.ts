/**
 * @file The loop of training: epochs of batches, validation, early stopping, checkpoints. It can be stopped between any
 * two steps and goes on from its checkpoint to the same weights, bit for bit.
 */
import { join } from "node:path";
import type { OnEvent } from "../../run/events.ts";
import { DivergenceGuard } from "../../run/divergenceGuard.ts";
import { mostProbable, type MulticlassMetrics } from "../../run/metrics/multiclass.ts";
import { RateMeter } from "../../run/rateMeter.ts";
import type { SequenceSet } from "../encodedSequences.ts";
import { batchCount, bucketLengths, bucketedBatches, type BucketBatch } from "./bucketedBatches.ts";
import { evaluateRows } from "./predictRows.ts";
import type { ProteinNetwork } from "./proteinNetwork.ts";
import { decoyRows, STALE_EPOCHS, type ProteinSettings } from "./settings.ts";

/** Where a run stands; kept in its checkpoint. */
export interface ProteinTrainerState {
  /** Epochs done. */
  epoch: number;
  /** Batches done of the epoch under way. */
  batch: number;
  /** Optimizer steps done. */
  step: number;
  learningRate: number;
  /** Sequences trained, and seconds spent training them. */
  sequences: number;
  trainSeconds: number;
  /** Best validation macro-F1 so far and the epochs (done) it came after; null before the first. */
  best: { macroF1: number; epoch: number } | null;
  /** Whether training has come to its end. */
  finished: boolean;
}

/** What a trainer needs. */
export interface ProteinTrainerOptions {
  network: ProteinNetwork;
  settings: ProteinSettings;
  set: SequenceSet;
  train: Uint32Array;
  validation: Uint32Array;
  /** Folder of the checkpoints `last` and `best`. */
  directory: string;
  /** Seconds since the start of the run. */
  clock: () => number;
  onEvent: OnEvent;
  /** Stops training, with a checkpoint, after the steps under way. */
  signal?: AbortSignal;
  /** Where to go on; the network's weights are those of the same checkpoint. */
  state?: ProteinTrainerState;
}

/** The checkpoint that training goes on from. */
export const LAST = "last";
/** The checkpoint with the best validation macro-F1. */
export const BEST = "best";

/** Points of the training curve in an epoch. */
const CURVE_POINTS = 50;
const PROGRESS_MS = 100;
/** Steps asked for before the first of them has come back, so that the device never waits for the host. */
const IN_FLIGHT = 2;

/** Trains a network. */
export class ProteinTrainer {
  readonly #options: ProteinTrainerOptions;
  readonly #state: ProteinTrainerState;
  readonly #guard: DivergenceGuard;
  readonly #meter = new RateMeter();
  readonly #epochSteps: number;
  #curve = { loss: 0, right: 0, sequences: 0 };
  #lastProgress = 0;

  constructor(options: ProteinTrainerOptions) {
    this.#options = options;
    this.#epochSteps = batchCount(
      options.train.length,
      options.settings.batchSize,
      decoyRows(options.settings),
    );
    // A guess among C classes costs ln C.
    this.#guard = new DivergenceGuard({ floor: Math.log(options.network.model.classes) });
    this.#state = options.state ?? {
      epoch: 0,
      batch: 0,
      step: 0,
      learningRate: options.settings.learningRate,
      sequences: 0,
      trainSeconds: 0,
      best: null,
      finished: false,
    };
  }

  /** Where training stands. */
  get state(): Readonly<ProteinTrainerState> {
    return this.#state;
  }

  /**
   * Trains to the end, or until the signal.
   * @returns whether the end was reached
   * @throws ParetoError `TRAIN_LOSS_NAN`, `TRAIN_DIVERGED`; the last good checkpoint stays
   */
  async run(): Promise<boolean> {
    const { settings, signal } = this.#options;
    const state = this.#state;
    while (!state.finished) {
      if (!(await this.#trainEpoch())) {
        await this.#checkpoint(LAST);
        return false;
      }
      state.epoch++;
      state.batch = 0;
      const { macroF1 } = await this.#validate();
      const isBest = state.best === null || macroF1 > state.best.macroF1;
      if (isBest) state.best = { macroF1, epoch: state.epoch };
      const stale = state.epoch - state.best!.epoch;
      if (stale > 0 && stale % STALE_EPOCHS === 0) state.learningRate /= 2;
      state.finished = state.epoch >= settings.epochs || stale >= settings.patience;
      // The best first: a run that dies between the two does this epoch's end again, and misses no checkpoint.
      if (isBest) await this.#checkpoint(BEST);
      await this.#checkpoint(LAST);
      if (signal?.aborted && !state.finished) return false;
    }
    return true;
  }

  /** @returns false when the signal stopped it before the epoch's end */
  async #trainEpoch(): Promise<boolean> {
    const { network, settings, set, train, signal, clock, onEvent } = this.#options;
    const state = this.#state;
    const start = clock();
    const secondsBefore = state.trainSeconds;
    const batches = bucketedBatches(set, train, {
      batchSize: settings.batchSize,
      lengths: bucketLengths(settings.length),
      shuffle: { seed: settings.seed, epoch: state.epoch },
      decoys: decoyRows(settings),
      flanks: settings.flanks,
    });
    const flights: { batch: BucketBatch; step: number; done: ReturnType<ProteinNetwork["train"]> }[] = [];
    const land = async (): Promise<void> => {
      const { batch, step, done } = flights.shift()!;
      const { loss, logits } = await done;
      this.#guard.observe(loss, step);
      state.step = step;
      state.batch++;
      state.sequences += batch.size;
      state.trainSeconds = secondsBefore + clock() - start;
      this.#report(batch, loss, logits);
    };
    let skipped = 0;
    let step = state.step;
    const first = state.batch;
    for (const batch of batches) {
      if (skipped++ < first) continue;
      if (signal?.aborted) break;
      const done = network.train(batch, state.learningRate, ++step);
      // It is awaited later; a failure before then must not count as unhandled.
      done.catch(() => undefined);
      flights.push({ batch, step, done });
      if (flights.length >= IN_FLIGHT) await land();
    }
    while (flights.length > 0) await land();
    onEvent({
      event: "span",
      span: "train",
      start,
      end: clock(),
      detail: { batches: state.batch - first },
    });
    return state.batch === this.#epochSteps;
  }

  #report({ size, labels }: BucketBatch, loss: number, logits: Float32Array): void {
    const { onEvent, settings, train, network } = this.#options;
    const { epoch, step, sequences, trainSeconds: seconds, batch } = this.#state;
    const predicted = mostProbable(logits, network.model.classes);
    for (let i = 0; i < size; i++) if (predicted[i] === labels[i]) this.#curve.right++;
    this.#curve.loss += loss * size;
    this.#curve.sequences += size;
    const every = Math.max(1, Math.floor(this.#epochSteps / CURVE_POINTS));
    if (batch % every === 0 || batch === this.#epochSteps) {
      const { loss: total, right, sequences: count } = this.#curve;
      const point = { logLoss: total / count, accuracy: right / count };
      onEvent({ event: "metrics", part: "train", epoch, step, seconds, ...point });
      this.#curve = { loss: 0, right: 0, sequences: 0 };
    }
    const now = performance.now();
    if (now - this.#lastProgress < PROGRESS_MS) return;
    this.#lastProgress = now;
    onEvent({
      event: "progress",
      task: "train",
      done: sequences,
      total: settings.epochs * train.length,
      unit: "sequences",
      rate: this.#meter.observe(sequences, now),
      values: { epoch: epoch + 1, loss },
    });
  }

  async #validate(): Promise<MulticlassMetrics> {
    const { network, set, validation, settings, onEvent } = this.#options;
    const { metrics } = await this.#timed("evaluate", () =>
      evaluateRows(network, set, validation, settings.length),
    );
    const { epoch, step, trainSeconds: seconds } = this.#state;
    const { logLoss, accuracy, macroF1 } = metrics;
    onEvent({ event: "metrics", part: "validation", epoch, step, seconds, logLoss, accuracy, macroF1 });
    return metrics;
  }

  async #checkpoint(name: string): Promise<void> {
    const { network, directory } = this.#options;
    await this.#timed("checkpoint", () => network.save(join(directory, name), { ...this.#state }));
  }

  async #timed<T>(span: string, work: () => Promise<T>): Promise<T> {
    const { clock, onEvent } = this.#options;
    const start = clock();
    const value = await work();
    onEvent({ event: "span", span, start, end: clock() });
    return value;
  }
}
