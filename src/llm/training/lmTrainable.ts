/** @file A language model in training with its texts: what the trainer asks of it, and what it comes to. */
import type { JsonValue } from "../../base/jsonFile.ts";
import type { MetricName } from "../../run/metrics/metricNames.ts";
import type { RunContext } from "../../run/context.ts";
import type { RunFolder } from "../../run/runFolder.ts";
import { RunningMeans } from "../../run/runningMeans.ts";
import { trainInFlight } from "../../run/stepsInFlight.ts";
import type {
  EpochUnderWay,
  Evaluation,
  Quality,
  Trainable,
  TrainingPlan,
  TrainingSummary,
} from "../../run/task.ts";
import type { LmBatch, LmData } from "./lmData.ts";
import type { LmNetwork } from "./lmNetwork.ts";
import type { TrainLmResult } from "./lmResult.ts";
import type { Recipe } from "./recipe.ts";
import { saveModel } from "./saveModel.ts";
import { validate } from "./validate.ts";

/** Steps between two points of the training curve. */
const CURVE_STEPS = 20;
/** Share of the learning rate that is left at the end. */
const LAST_SHARE = 0.1;

/** What it is made of. */
export interface LmTrainableOptions {
  recipe: Recipe;
  /** The figure on the validation texts that says which weights are kept. */
  monitor: MetricName;
  /** Contents of `config.json`. */
  modelConfig: object;
  network: LmNetwork;
  data: LmData;
  context: RunContext;
  folder: RunFolder;
}

/**
 * A model and its texts. Texts have no end, so an epoch is the steps between two validations. Disposing of it disposes
 * of the network.
 */
export class LmTrainable implements Trainable<TrainLmResult> {
  readonly plan: TrainingPlan;
  readonly #options: LmTrainableOptions;
  readonly #means = new RunningMeans();
  /** Texts in the steps done, and in those asked for. */
  #texts = 0;
  #textsAsked = 0;

  constructor(options: LmTrainableOptions) {
    this.#options = options;
    const { recipe, data, monitor } = options;
    const { learningRate, warmupSteps } = recipe.optimizer;
    const steps = recipe.stages.reduce((n, stage) => n + stage.steps, 0);
    const tokens = recipe.stages.reduce(
      (n, { steps, batchSize, length }) => n + steps * batchSize * length,
      0,
    );
    this.plan = {
      epochs: Math.ceil(steps / recipe.validation.everySteps),
      steps,
      patience: Number.POSITIVE_INFINITY,
      learningRate: { kind: "cosine", base: learningRate, warmupSteps, last: LAST_SHARE },
      learningRateOption: "optimizer.learningRate of the recipe",
      monitor,
      guessLoss: Math.log(data.vocabulary),
      curveSteps: CURVE_STEPS,
      samples: { unit: "tokens", total: tokens },
    };
  }

  start(position: JsonValue | null): Promise<void> {
    if (position !== null) this.#texts = (position as { texts: number }).texts;
    this.#textsAsked = this.#texts;
    return Promise.resolve();
  }

  async train(epoch: EpochUnderWay): Promise<boolean> {
    const { network, data, context, recipe } = this.#options;
    const last = Math.min(this.plan.steps, (epoch.epoch + 1) * recipe.validation.everySteps);
    const left = last - epoch.step;
    const steps = await trainInFlight(context, {
      epoch,
      batches: Array.from({ length: left }, (_, i) => i),
      ask: async (_, planned) => {
        const { batchSize, length } = this.#stageAt(planned.share);
        const from = this.#textsAsked;
        this.#textsAsked += batchSize;
        const fill = (batch: LmBatch) => data.fill(batch, from, length);
        const loss = await network.train({ texts: batchSize, length }, planned, fill);
        return { loss, texts: batchSize, tokens: batchSize * length };
      },
      land: (_, { loss, texts, tokens }) => {
        this.#texts += texts;
        this.#means.add(1, loss);
        return { samples: tokens, loss };
      },
    });
    return steps === left;
  }

  takeCurvePoint(): Quality | null {
    return this.#means.take();
  }

  async validate(): Promise<Evaluation> {
    const { network, data, context } = this.#options;
    const { loss: logLoss, accuracy, groups } = await validate(network, data.validation, context.signal);
    const byName = groups.map(({ name, loss, accuracy, right }) => [
      name,
      { logLoss: loss, accuracy, right },
    ]);
    return {
      logLoss,
      accuracy,
      groups: Object.fromEntries(byName) as Record<string, Record<string, number>>,
    };
  }

  position(): JsonValue {
    return { texts: this.#texts };
  }

  save(directory: string, state: JsonValue): Promise<void> {
    return this.#options.network.save(directory, state);
  }

  load(directory: string): Promise<JsonValue> {
    return this.#options.network.load(directory);
  }

  async finish(summary: TrainingSummary): Promise<TrainLmResult> {
    const { recipe, network, data, context, folder, modelConfig } = this.#options;
    const { finished, steps, samples, samplesPerSecond, trainSeconds, best } = summary;
    const result: TrainLmResult = {
      run: folder.path,
      name: recipe.name,
      finished,
      validation: null,
      monitor: this.plan.monitor,
      bestStep: best?.step ?? null,
      parameters: network.parameters.size,
      vocabulary: data.vocabulary,
      steps,
      tokens: samples,
      tokensPerSecond: samplesPerSecond,
      trainSeconds,
      model: null,
    };
    if (!finished) return result;
    await network.roundWeights();
    const validation = await context.span("evaluate", () =>
      validate(network, data.validation, context.signal),
    );
    const model = folder.file("model");
    await saveModel(model, network, { config: modelConfig, tokenizer: data.tokenizer });
    return { ...result, validation, model };
  }

  async dispose(): Promise<void> {
    await this.#options.network.dispose();
  }

  /** The stage that lies at a share of training. */
  #stageAt(share: number): Recipe["stages"][number] {
    const { stages } = this.#options.recipe;
    let left = share * this.plan.steps;
    // Shares of whole steps are not exact.
    return stages.find(({ steps }) => (left -= steps) < 1e-6) ?? stages.at(-1)!;
  }
}
