/**
 * @file The loop of training, the only one: epochs of steps, validation, the best checkpoint, early stopping, an end by
 * the clock. It can be stopped between any two steps and goes on from its checkpoint to the same weights, bit for bit,
 * unless the clock sets its pace.
 */
import { join } from "node:path";
import { learningRateAt } from "../nn/schedules.ts";
import type { JsonValue } from "../base/jsonFile.ts";
import { ParetoError } from "../base/errors.ts";
import { METRICS, type MetricName } from "./metrics/metricNames.ts";
import type { RunContext } from "./context.ts";
import { DivergenceGuard, type DivergenceGuardState } from "./divergenceGuard.ts";
import { ProgressMeter } from "./progressMeter.ts";
import type { BestEpoch, PlannedStep, StepReport, Trainable, TrainingSummary } from "./task.ts";

/** Where a run stands; kept in its checkpoint. */
export interface TrainerState {
  /** Epochs done. */
  epoch: number;
  /** Steps done of the epoch under way. */
  epochStep: number;
  /** Optimizer steps done. */
  step: number;
  /** Samples trained, and seconds spent training them, without validation and checkpoints. */
  samples: number;
  trainSeconds: number;
  /** Null before the first. */
  best: BestEpoch | null;
  /** Times that a plateau has lowered the learning rate. */
  reductions: number;
  guard: DivergenceGuardState;
  /** Whether the last epoch done is yet to be validated: the signal came before the end of that. */
  awaitsValidation: boolean;
  /** Whether training has come to its end. */
  finished: boolean;
  /** Of the model, beside its weights. */
  position: JsonValue;
}

/** What a trainer needs. */
export interface TrainerOptions {
  trainable: Trainable;
  context: RunContext;
  /** Folder of the checkpoints {@link LAST} and {@link BEST}. */
  directory: string;
  /** Second of the run's clock at which training ends; the learning rate falls in time for that. */
  deadline?: number;
  /** Where to go on; the weights are those of the same checkpoint. */
  state?: TrainerState;
}

/** The checkpoint that training goes on from. */
export const LAST = "last";
/** The checkpoint with the best validation metric; runs of a single epoch have none. */
export const BEST = "best";

/** What work comes to; null when it threw because the signal stopped it. */
export async function unlessAborted<T>(
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    if (signal?.aborted && error === signal.reason) return null;
    throw error;
  }
}

/** Trains a model. */
export class Trainer {
  readonly #options: TrainerOptions;
  readonly #state: Omit<TrainerState, "guard" | "position">;
  readonly #guard: DivergenceGuard;
  readonly #meter = new ProgressMeter();
  readonly #startedAt: number;
  /** Learning rates of the steps under way, and of the last that was done. */
  readonly #rates = new Map<number, number>();
  #lastRate = 0;

  constructor(options: TrainerOptions) {
    this.#options = options;
    const { trainable, context } = options;
    const { guard, position: _, ...state } = options.state ?? {};
    const { guessLoss: floor, learningRateOption } = trainable.plan;
    this.#guard = new DivergenceGuard({ floor, learningRateOption }, guard);
    this.#state = {
      epoch: 0,
      epochStep: 0,
      step: 0,
      samples: 0,
      trainSeconds: 0,
      best: null,
      reductions: 0,
      awaitsValidation: false,
      finished: false,
      ...state,
    };
    context.step = this.#state.step;
    this.#startedAt = context.clock();
  }

  /** A copy of where training stands. */
  get state(): TrainerState {
    const position = this.#options.trainable.position();
    return structuredClone({ ...this.#state, guard: this.#guard.state, position });
  }

  /** Where training ended. */
  get summary(): TrainingSummary {
    const { epoch, step, samples, trainSeconds, best, finished } = this.#state;
    return {
      finished,
      epochs: epoch,
      steps: step,
      samples,
      trainSeconds,
      samplesPerSecond: samples / Math.max(1e-9, trainSeconds),
      best,
    };
  }

  /**
   * Trains to the end, or until the signal.
   * @returns whether the end was reached
   * @throws ParetoError `TRAIN_LOSS_NAN`, `TRAIN_DIVERGED`, `TRAIN_MONITOR`; the last good checkpoint stays
   */
  async run(): Promise<boolean> {
    const { trainable, context } = this.#options;
    const { epochs } = trainable.plan;
    const state = this.#state;
    while (!state.finished) {
      if (!state.awaitsValidation) {
        if (!(await this.#trainEpoch())) {
          await this.#save(LAST);
          return false;
        }
        state.epoch++;
        state.epochStep = 0;
      }
      state.awaitsValidation = true;
      const isBest = await unlessAborted(context.signal, () => this.#validate());
      if (isBest === null) {
        await this.#save(LAST);
        return false;
      }
      state.awaitsValidation = false;
      const stale = this.#lowerRate();
      state.finished = state.epoch >= epochs || stale >= trainable.plan.patience || this.#isOver();
      // The best first: a run that dies between the two does this epoch's end again, and misses no checkpoint.
      if (isBest && epochs > 1) await this.#save(BEST);
      await this.#save(LAST);
      if (context.signal?.aborted && !state.finished) return false;
    }
    return true;
  }

  /** @returns false when the signal stopped it before the epoch's end */
  async #trainEpoch(): Promise<boolean> {
    const { trainable, context } = this.#options;
    const { epoch, epochStep, step, trainSeconds } = this.#state;
    const start = context.clock();
    const addTime = () => (this.#state.trainSeconds = trainSeconds + context.clock() - start);
    const isEnd = await trainable.train({
      epoch,
      epochStep,
      step,
      shouldStop: () => context.signal?.aborted === true || this.#isOver(),
      plan: (step) => this.#plan(step),
      onStep: (report) => {
        this.#guard.observe(report.loss, report.step);
        this.#state.step = report.step;
        this.#lastRate = this.#rates.get(report.step) ?? this.#lastRate;
        this.#rates.delete(report.step);
        this.#state.epochStep++;
        this.#state.samples += report.samples;
        context.step = report.step;
        addTime();
        if (report.step % trainable.plan.curveSteps === 0) this.#drawCurve();
        this.#showProgress(report);
      },
    });
    addTime();
    if (!isEnd && !this.#isOver()) return false;
    this.#drawCurve();
    return true;
  }

  #isOver(): boolean {
    const { deadline, context } = this.#options;
    return deadline !== undefined && context.clock() >= deadline;
  }

  #plan(step: number): PlannedStep {
    const { trainable, deadline, context } = this.#options;
    const { steps, learningRate: schedule } = trainable.plan;
    const started = this.#startedAt;
    const timed = deadline === undefined ? 0 : (context.clock() - started) / (deadline - started);
    const share = Math.min(1, Math.max(step / steps, timed));
    const learningRate = learningRateAt(schedule, { step, share, reductions: this.#state.reductions });
    this.#rates.set(step, learningRate);
    return { step, share, learningRate };
  }

  #drawCurve(): void {
    const quality = this.#options.trainable.takeCurvePoint();
    if (quality === null) return;
    const { epoch, step, trainSeconds: seconds } = this.#state;
    const learningRate = this.#lastRate;
    const at = { epoch, step, seconds, learningRate };
    this.#options.context.onEvent({ event: "metrics", part: "train", ...at, ...quality });
  }

  #showProgress({ loss }: StepReport): void {
    const { trainable, context } = this.#options;
    const { epoch, samples: done } = this.#state;
    const values = { epoch: epoch + 1, loss };
    const event = this.#meter.observe({ task: "train", done, ...trainable.plan.samples, values });
    if (event) context.onEvent(event);
  }

  /** @returns whether this epoch is the best so far */
  async #validate(): Promise<boolean> {
    const { trainable, context } = this.#options;
    const { learningRateOption } = trainable.plan;
    const { monitor } = trainable.plan;
    const { isConstant, ...quality } = await context.span("evaluate", () => trainable.validate());
    const { epoch, step, trainSeconds: seconds, best } = this.#state;
    context.onEvent({ event: "metrics", part: "validation", epoch, step, seconds, ...quality });
    if (isConstant) {
      const message = `After epoch ${epoch} the model gives every validation input the same probability: lower ${learningRateOption}, or look at the inputs.`;
      context.onEvent({ event: "notice", level: "warning", code: "TRAIN_CONSTANT", message });
    }
    this.#guard.observeValidation(quality.logLoss, epoch);
    const value = quality[monitor] ?? Number.NaN;
    if (!Number.isFinite(value)) throw undefinedMonitor(monitor, epoch, value);
    const isHigher = METRICS[monitor].goal === "highest";
    const isBest = best === null || (isHigher ? value > best.value : value < best.value);
    if (isBest) this.#state.best = { value, epoch, step };
    return isBest;
  }

  /** Lowers the learning rate where it waits for better epochs. @returns epochs since the best */
  #lowerRate(): number {
    const { learningRate } = this.#options.trainable.plan;
    const { epoch, best } = this.#state;
    const stale = epoch - best!.epoch;
    if (learningRate.kind === "plateau" && stale > 0 && stale % learningRate.patience === 0)
      this.#state.reductions++;
    return stale;
  }

  async #save(name: string): Promise<void> {
    const { trainable, context, directory } = this.#options;
    const state = JSON.parse(JSON.stringify(this.state)) as JsonValue;
    await context.span("checkpoint", () => trainable.save(join(directory, name), state));
  }
}

/** A figure that is not defined, as AUC is not where all labels are the same, would keep the first epoch without a word. */
function undefinedMonitor(monitor: MetricName, epoch: number, value: number): ParetoError {
  return new ParetoError({
    code: "TRAIN_MONITOR",
    where: "--monitor",
    message: `${METRICS[monitor].label} says which epoch is best and must be a number on the validation part, after epoch ${epoch} got ${value}`,
    fix: "Choose another figure with --monitor, or divide the data so that the validation part holds every class.",
  });
}
