/**
 * @file What a domain brings to be trained. A {@link TrainingTask} reads a configuration's data and opens a
 * {@link Trainable}: a model with its data, which knows how to do steps, to be validated, saved and loaded. All that
 * is the same for every model is `runTraining`'s and `Trainer`'s: the folder, epochs, the best checkpoint, when to stop.
 */
import type { z } from "zod";
import type { LearningRateSchedule } from "../nn/schedules.ts";
import type { JsonValue } from "../base/jsonFile.ts";
import type { RunContext } from "./context.ts";
import type { MetricsEvent } from "./events.ts";
import type { MetricName } from "./metrics/metricNames.ts";
import type { RunFolder } from "./runFolder.ts";

/**
 * A kind of training.
 * @typeParam Config what the folder keeps, as JSON
 * @typeParam Requested what a caller gives: what depends on the data may be missing
 */
export interface TrainingTask<Config extends Requested, Requested, Result extends TrainingResult> {
  /** As the command line calls it, e.g. `protein train`. */
  readonly command: string;
  /** Of the configuration; marks with `mayChange` what may differ when a run goes on. */
  readonly schema: z.ZodType<Config>;
  /** Reads the data; nothing is left behind when it throws. */
  prepare(config: Requested, context: RunContext): Promise<PreparedTask<Config, Result>>;
}

/** A task whose data is read. */
export interface PreparedTask<Config, Result> {
  /** With all that depended on the data. */
  config: Config;
  seed: number;
  /** Of the data: a resumed run must find the same. */
  fingerprint: string;
  /**
   * Builds the model with initial weights.
   * @param isRestored whether a checkpoint will be loaded over them
   */
  open(context: RunContext, folder: RunFolder, isRestored: boolean): Promise<Trainable<Result>>;
  /** Frees what was opened with the data. */
  dispose?(): Promise<void>;
}

/** What every result holds. */
export interface TrainingResult {
  /** The run's folder. */
  run: string;
  /** False when it was stopped by the signal. */
  finished: boolean;
}

/** How long to train, at which rate, and what to go by. */
export interface TrainingPlan {
  /** Epochs at most. An epoch is what lies between two validations: a pass over the training part, or so many steps. */
  epochs: number;
  /** Steps of all epochs, by which the learning rate falls. */
  steps: number;
  /** Epochs without a better metric before training stops. */
  patience: number;
  learningRate: LearningRateSchedule;
  /** Where a user sets the base of it, e.g. `--lr`. */
  learningRateOption: string;
  /** The figure of a validation that says which epoch is best. */
  monitor: MetricName;
  /** Loss of a guess: noise around less than that is no divergence. */
  guessLoss: number;
  /** Steps between two points of the training curve. */
  curveSteps: number;
  /** What progress counts, and how many there are in all epochs. */
  samples: { unit: string; total: number };
}

/** A step that is done. */
export interface StepReport {
  /** From 1. */
  step: number;
  /** Of the batch, as {@link TrainingPlan.samples} counts. */
  samples: number;
  /** Mean over the batch, before the update. */
  loss: number;
}

/** A step that is to be done. */
export interface PlannedStep {
  /** From 1. */
  step: number;
  /** Share of training that lies before it, by steps, or by the clock where that is ahead. */
  share: number;
  learningRate: number;
}

/** The epoch under way, as the trainer gives it to a model. */
export interface EpochUnderWay {
  /** From 0. */
  epoch: number;
  /** Steps done of this epoch, and of all. */
  epochStep: number;
  step: number;
  /** Whether no further step is to be begun. */
  shouldStop(): boolean;
  /** What is to be known of a step before it is done. */
  plan(step: number): PlannedStep;
  /** Takes a step that is done; they come in order. @throws ParetoError `TRAIN_LOSS_NAN`, `TRAIN_DIVERGED` */
  onStep(report: StepReport): void;
}

/** Figures of a part. */
export type Quality = Pick<MetricsEvent, "logLoss" | MetricName | "groups">;

/** What a validation found. */
export interface Evaluation extends Quality {
  /** Whether the model gives one answer to everything. */
  isConstant?: boolean;
}

/** The epoch with the best validation metric. */
export interface BestEpoch {
  value: number;
  /** Epochs and steps done that it came after. */
  epoch: number;
  step: number;
}

/** Where training ended. */
export interface TrainingSummary {
  /** False when it was stopped by the signal; the weights are then the last ones, otherwise the best. */
  finished: boolean;
  /** Epochs and steps done. */
  epochs: number;
  steps: number;
  /** Samples trained, and seconds spent training them. */
  samples: number;
  trainSeconds: number;
  samplesPerSecond: number;
  best: BestEpoch | null;
}

/** A model in training with its data. */
export interface Trainable<Result = unknown> {
  readonly plan: TrainingPlan;
  /**
   * Takes its place in the order of training: at the start, or where a checkpoint stood, whose weights are loaded.
   * @param position what {@link position} gave
   */
  start?(position: JsonValue | null): Promise<void>;
  /** Trains to the end of the epoch, or until it should stop. @returns whether the end was reached */
  train(epoch: EpochUnderWay): Promise<boolean>;
  /** Figures of the steps since the last call; null when there were none. */
  takeCurvePoint(): Quality | null;
  /** Quality on the validation part. @throws the signal's reason, when it comes before the end */
  validate(): Promise<Evaluation>;
  /** Where it stands in the order of training, beside epochs and steps. */
  position(): JsonValue;
  /** Writes a checkpoint. @param state what {@link load} gives back */
  save(directory: string, state: JsonValue): Promise<void>;
  /** Loads the weights of a checkpoint. @throws ParetoError as `openCheckpoint` */
  load(directory: string): Promise<JsonValue>;
  /**
   * After the last step: tests the weights, saves the model.
   * @throws the signal's reason, when it comes before the end; it is then called again as of a run that is not finished
   */
  finish(summary: TrainingSummary): Promise<Result>;
  dispose(): Promise<void>;
}
