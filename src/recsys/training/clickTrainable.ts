/** @file A CTR model in training with its clicks: what the trainer asks of it, and what it comes to. */
import { invariant } from "../../base/errors.ts";
import type { JsonValue } from "../../base/jsonFile.ts";
import type { RunContext } from "../../run/context.ts";
import type { OnEvent } from "../../run/events.ts";
import type {
  EpochUnderWay,
  Evaluation,
  Quality,
  Trainable,
  TrainingPlan,
  TrainingSummary,
} from "../../run/task.ts";
import type { EncodedDataset } from "../data/encode/encodedDataset.ts";
import type { StrategyPosition, TrainingSegment, TrainingStrategy } from "../strategies/strategy.ts";
import type { ClickConfig } from "./clickConfig.ts";
import type { ClickNetwork } from "./clickNetwork.ts";
import type { TrainClicksResult } from "./clickResult.ts";
import { evaluate } from "./evaluate.ts";
import { DEFAULT_MONITOR } from "./settings.ts";
import { TrainingCurve } from "./trainingCurve.ts";

/** What it is made of. */
export interface ClickTrainableOptions {
  config: ClickConfig;
  network: ClickNetwork;
  train: EncodedDataset;
  validation: EncodedDataset;
  test: EncodedDataset;
  context: RunContext;
  /** The run's folder. */
  run: string;
  /** Makes the strategy, at its start or where a checkpoint left it. */
  createStrategy: (position: StrategyPosition | null, onEvent: OnEvent) => Promise<TrainingStrategy>;
}

/** Inputs of the fixed validation slice that a strategy's scheduler looks at: at most this many, */
const SLICE_INPUTS = 16_384;
/** and beyond so many, at most this share of the training inputs, so that looking costs little beside training. */
const SLICE_SHARE = 0.01;
const SLICE_LEAST = 2048;
/** Points of the training curve in an epoch. */
const CURVE_POINTS = 100;

const signalOf = ({ signal }: RunContext) => (signal ? { signal } : {});

/** A network, its strategy and its data. Disposing of it disposes of the network. */
export class ClickTrainable implements Trainable<TrainClicksResult> {
  readonly plan: TrainingPlan;
  readonly #options: ClickTrainableOptions;
  readonly #curve = new TrainingCurve();
  #strategy: TrainingStrategy | null = null;

  constructor(options: ClickTrainableOptions) {
    this.#options = options;
    const { config, train } = options;
    const { learningRate: base, decay, epochs, patience, batchSize, monitor } = config.settings;
    const epochSteps = train.batchCount(batchSize);
    const steps = epochs * epochSteps;
    this.plan = {
      epochs,
      steps,
      patience,
      learningRate: decay === "linear" ? { kind: "linear", base, steps } : { kind: "constant", base },
      learningRateOption: "--lr",
      monitor: monitor ?? DEFAULT_MONITOR,
      guessLoss: Math.LN2,
      curveSteps: Math.max(1, Math.floor(epochSteps / CURVE_POINTS)),
      samples: { unit: "samples", total: epochs * train.rows },
    };
  }

  async start(position: JsonValue | null): Promise<void> {
    const { context, createStrategy } = this.#options;
    this.#strategy = await createStrategy(position as StrategyPosition | null, (event) =>
      context.onEvent(
        event.event === "decision" || event.event === "span" ? { ...event, step: context.step } : event,
      ),
    );
  }

  async train(epoch: EpochUnderWay): Promise<boolean> {
    const strategy = this.#startedStrategy;
    const isEnd = await this.#trainSegments(strategy, epoch);
    // The signal may come between two hot segments, when the newest rows are not in the master tables.
    await strategy.flush();
    if (isEnd) strategy.startEpoch();
    return isEnd;
  }

  takeCurvePoint(): Quality | null {
    return this.#curve.take();
  }

  async validate(): Promise<Evaluation> {
    const { network, validation, context } = this.#options;
    const { logLoss, auc, accuracy, constant } = await evaluate(network, validation, signalOf(context));
    return { logLoss, auc, accuracy, isConstant: constant };
  }

  position(): JsonValue {
    const strategy = this.#startedStrategy;
    return { name: strategy.name, state: strategy.state() as JsonValue };
  }

  save(directory: string, state: JsonValue): Promise<void> {
    return this.#options.network.save(directory, state);
  }

  load(directory: string): Promise<JsonValue> {
    return this.#options.network.load(directory);
  }

  async finish(summary: TrainingSummary): Promise<TrainClicksResult> {
    const { config, network, train, validation, test, run } = this.#options;
    const { finished, epochs, steps, samplesPerSecond, trainSeconds, best } = summary;
    const { hot, sync } = this.#startedStrategy;
    const quality = finished ? await this.#test(summary) : null;
    return {
      run,
      strategy: this.#startedStrategy.name,
      finished,
      auc: quality?.auc ?? null,
      logLoss: quality?.logLoss ?? null,
      accuracy: quality?.accuracy ?? null,
      rows: { train: train.rows, validation: validation.rows, test: test.rows },
      monitor: this.plan.monitor,
      bestEpoch: best?.epoch ?? null,
      epochs,
      steps,
      samplesPerSecond,
      trainSeconds,
      hot,
      sync,
      peakRssBytes: process.resourceUsage().maxRSS * 1024,
      tableBytes: network.tables.bytes,
      tableMemory: network.tables.memory,
      peakGpuBytes: network.peakGpuBytes,
      config,
    };
  }

  async dispose(): Promise<void> {
    await this.#strategy?.dispose();
    await this.#options.network.dispose();
  }

  get #startedStrategy(): TrainingStrategy {
    invariant(this.#strategy !== null, "training starts before its first epoch");
    return this.#strategy;
  }

  /** @returns false when it had to stop before the epoch's end */
  async #trainSegments(strategy: TrainingStrategy, epoch: EpochUnderWay): Promise<boolean> {
    let step = epoch.step;
    for (;;) {
      await strategy.segmentEnded(() => this.#sliceLoss());
      const segment = await strategy.next();
      if (!segment) return true;
      if (epoch.shouldStop()) return false;
      step += await this.#trainSegment(strategy, segment, epoch, step);
      if (epoch.shouldStop()) return false;
    }
  }

  /** @returns steps done */
  async #trainSegment(
    strategy: TrainingStrategy,
    { name, count, plans }: TrainingSegment,
    epoch: EpochUnderWay,
    stepsDone: number,
  ): Promise<number> {
    const { network, config, context } = this.#options;
    const { batchSize, seed } = config.settings;
    const start = context.clock();
    const shuffle = { seed, epoch: epoch.epoch };
    const { steps, batches } = await network.pipeline.train({
      plans: plans({ batchSize, shuffle, recycle: 4 }),
      stepsDone,
      learningRate: (step) => epoch.plan(step).learningRate,
      onStep: (report) => {
        const { step, size, loss } = report;
        this.#curve.add(report);
        epoch.onStep({ step, samples: size, loss });
        return !epoch.shouldStop();
      },
    });
    invariant(batches > 0, `a ${name} segment of ${count} batches has batches to train`);
    strategy.completed(batches);
    context.spanEnded(name, start, { batches });
    return steps;
  }

  async #sliceLoss(): Promise<number> {
    const { network, train, validation, context } = this.#options;
    const limit = Math.min(SLICE_INPUTS, Math.max(SLICE_LEAST, Math.floor(SLICE_SHARE * train.rows)));
    return (await context.span("evaluate", () => evaluate(network, validation, { limit }))).logLoss;
  }

  async #test({ epochs: epoch, steps: step, trainSeconds: seconds }: TrainingSummary): Promise<Quality> {
    const { network, test, context } = this.#options;
    const { logLoss, auc, accuracy } = await context.span("evaluate", () =>
      evaluate(network, test, {
        ...signalOf(context),
        onProgress: (done) => context.progress("evaluate", done, test.rows, "rows"),
      }),
    );
    context.onEvent({ event: "metrics", part: "test", epoch, step, seconds, logLoss, auc, accuracy });
    return { logLoss, auc, accuracy };
  }
}
