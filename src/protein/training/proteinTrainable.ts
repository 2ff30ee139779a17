/** @file A protein network in training with its sequences: what the trainer asks of it, and what it comes to. */
import type { JsonValue } from "../../base/jsonFile.ts";
import type { RunContext } from "../../run/context.ts";
import { mostProbable } from "../../run/metrics/multiclass.ts";
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
import type { SequenceSet } from "../sequenceSet.ts";
import { saveProteinModel } from "../savedModel.ts";
import type { SequenceSplit } from "../splits/split.ts";
import { decoysOf } from "../threshold/decoys.ts";
import {
  highestProbabilities,
  measureThreshold,
  thresholdDecision,
  thresholdPolicies,
} from "../threshold/thresholdPolicy.ts";
import { batchCount, bucketLengths, bucketedBatches } from "../network/bucketedBatches.ts";
import { evaluateRows, predictRows } from "../network/predictRows.ts";
import type { ProteinConfig } from "./proteinConfig.ts";
import type { ProteinNetwork } from "../network/proteinNetwork.ts";
import type { TrainProteinResult } from "./proteinResult.ts";
import { decoyRows, STALE_EPOCHS } from "./settings.ts";

/** Points of the training curve in an epoch. */
const CURVE_POINTS = 50;

/** What it is made of. */
export interface ProteinTrainableOptions {
  config: ProteinConfig;
  network: ProteinNetwork;
  set: SequenceSet;
  parts: SequenceSplit;
  context: RunContext;
  folder: RunFolder;
}

/** A network and its sequences. Disposing of it disposes of the network. */
export class ProteinTrainable implements Trainable<TrainProteinResult> {
  readonly plan: TrainingPlan;
  readonly #options: ProteinTrainableOptions;
  readonly #epochSteps: number;
  readonly #means = new RunningMeans();

  constructor(options: ProteinTrainableOptions) {
    this.#options = options;
    const { config, network, parts } = options;
    const { batchSize, epochs, patience, learningRate, monitor = "macroF1" } = config.settings;
    this.#epochSteps = batchCount(parts.train.length, batchSize, decoyRows(config.settings));
    this.plan = {
      epochs,
      steps: epochs * this.#epochSteps,
      patience,
      learningRate: { kind: "plateau", base: learningRate, factor: 0.5, patience: STALE_EPOCHS },
      learningRateOption: "--lr",
      monitor,
      // A guess among C classes costs ln C.
      guessLoss: Math.log(network.model.classes),
      curveSteps: Math.max(1, Math.floor(this.#epochSteps / CURVE_POINTS)),
      samples: { unit: "sequences", total: epochs * parts.train.length },
    };
  }

  async train(epoch: EpochUnderWay): Promise<boolean> {
    const { config, network, set, parts, context } = this.#options;
    const { settings } = config;
    const batches = bucketedBatches(set, parts.train, {
      batchSize: settings.batchSize,
      lengths: bucketLengths(settings.length),
      shuffle: { seed: settings.seed, epoch: epoch.epoch },
      decoys: decoyRows(settings),
      flanks: settings.flanks,
    }).drop(epoch.epochStep);
    const steps = await trainInFlight(context, {
      epoch,
      batches,
      ask: (batch, { step, learningRate }) => network.train(batch, learningRate, step),
      land: ({ size, labels }, { loss, logits }) => {
        const predicted = mostProbable(logits, network.model.classes);
        let right = 0;
        for (let i = 0; i < size; i++) if (predicted[i] === labels[i]) right++;
        this.#means.add(size, loss * size, right);
        return { samples: size, loss };
      },
    });
    return epoch.epochStep + steps === this.#epochSteps;
  }

  takeCurvePoint(): Quality | null {
    return this.#means.take();
  }

  async validate(): Promise<Evaluation> {
    const { config, network, set, parts, context } = this.#options;
    const { length } = config.settings;
    const { metrics } = await evaluateRows(network, set, parts.validation, length, signalOf(context));
    const { logLoss, accuracy, macroF1 } = metrics;
    return { logLoss, accuracy, macroF1 };
  }

  /** The order of an epoch follows from the seed and its number. */
  position(): null {
    return null;
  }

  save(directory: string, state: JsonValue): Promise<void> {
    return this.#options.network.save(directory, state);
  }

  load(directory: string): Promise<JsonValue> {
    return this.#options.network.load(directory);
  }

  async finish(summary: TrainingSummary): Promise<TrainProteinResult> {
    const { config, network, set, parts, folder } = this.#options;
    const { finished, epochs, steps, trainSeconds, samplesPerSecond, best } = summary;
    const { train, validation, test } = parts;
    const result: TrainProteinResult = {
      run: folder.path,
      finished,
      test: null,
      validation: null,
      families: set.families,
      sequences: { train: train.length, validation: validation.length, test: test.length },
      parameters: network.size,
      weightBytes: 4 * network.size,
      threshold: null,
      thresholdShares: null,
      epochs,
      monitor: this.plan.monitor,
      bestEpoch: best?.epoch ?? null,
      steps,
      sequencesPerSecond: samplesPerSecond,
      trainSeconds,
      model: null,
      config,
    };
    return finished ? this.#tested(result) : result;
  }

  async dispose(): Promise<void> {
    await this.#options.network.dispose();
  }

  /** Measures the weights on the test part, chooses the threshold and saves the model. */
  async #tested(result: TrainProteinResult): Promise<TrainProteinResult> {
    const { config, network, set, parts, context, folder } = this.#options;
    const { length } = config.settings;
    const [validation, test] = await context.span("evaluate", async () => [
      await evaluateRows(network, set, parts.validation, length, signalOf(context)),
      await evaluateRows(network, set, parts.test, length, {
        ...signalOf(context),
        onProgress: (done) => context.progress("evaluate", done, parts.test.length, "sequences"),
      }),
    ]);
    const { logLoss, accuracy, macroF1 } = test!.metrics;
    const { epochs: epoch, steps: step, trainSeconds: seconds } = result;
    context.onEvent({ event: "metrics", part: "test", epoch, step, seconds, logLoss, accuracy, macroF1 });
    const decoys = decoysOf(set, parts.validation, length);
    const rows = Uint32Array.from(parts.validation, (_, i) => i);
    const { classes } = network.model;
    const statistics = {
      known: highestProbabilities(validation!.probabilities, classes),
      decoys: highestProbabilities(
        await predictRows(network, decoys, rows, length, signalOf(context)),
        classes,
      ),
    };
    const policy = thresholdPolicies.parse(config.settings.threshold, "--threshold");
    const chosen = measureThreshold(policy.create()(statistics), statistics);
    context.onEvent(thresholdDecision(policy.definition.name, step, statistics, chosen));
    const { threshold, ...thresholdShares } = chosen;
    const { classes: _, confusions: __, ...validationFigures } = validation!.metrics;
    const tested = {
      ...result,
      test: test!.metrics,
      validation: validationFigures,
      threshold,
      thresholdShares,
      model: folder.file("model"),
    };
    await saveProteinModel(tested.model, network, {
      network: config.settings.model,
      families: set.families,
      length,
      threshold,
      trained: trainedFacts(tested),
    });
    return tested;
  }
}

const signalOf = ({ signal }: RunContext) => (signal ? { signal } : {});

/** What a saved model says of how it was trained. */
function trainedFacts({ config, test, validation, ...result }: TrainProteinResult): Record<string, never> {
  const { split, strict, cap, minimum, dataSeed } = config.data;
  const { seed, batchSize, learningRate, decoys, flanks } = config.settings;
  const { epochs, bestEpoch, sequences, thresholdShares } = result;
  const { classes: _, confusions: __, ...testFigures } = test!;
  return JSON.parse(
    JSON.stringify({
      split,
      strict,
      cap,
      minimum,
      dataSeed,
      seed,
      epochs,
      bestEpoch,
      batchSize,
      learningRate,
      decoys,
      flanks,
      sequences,
      thresholdShares,
      validation,
      test: testFigures,
    }),
  ) as Record<string, never>;
}
