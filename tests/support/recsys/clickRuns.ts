/** @file Small training runs through the real parts, for tests of the trainer: data on disk, network, strategy. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import type { ClickSchema } from "../../../src/recsys/data/batches/clickBatch.ts";
import type { EncodedDataset } from "../../../src/recsys/data/encode/encodedDataset.ts";
import { EncodedDatasetWriter } from "../../../src/recsys/data/encode/encodedDatasetWriter.ts";
import type { EncodedLayout } from "../../../src/recsys/data/encode/encodedLayout.ts";
import type { ClickSource } from "../../../src/recsys/strategies/fae/clickSource.ts";
import { prepareFaeFile, type FaeFile } from "../../../src/recsys/strategies/fae/faeFile.ts";
import { digest } from "../../../src/recsys/data/digest.ts";
import { faeConfig, type FaeOptions } from "../../../src/recsys/strategies/fae/faeDefinition.ts";
import { strategyPolicies } from "../../../src/recsys/strategies/registry.ts";
import { createStrategy } from "../../../src/recsys/training/createStrategy.ts";
import { bytesPerRow } from "../../../src/recsys/strategies/fae/rowBytes.ts";
import type { TrainingStrategy } from "../../../src/recsys/strategies/strategy.ts";
import { ClickNetwork } from "../../../src/recsys/training/clickNetwork.ts";
import { maxLookupsOf } from "../../../src/recsys/training/maxLookups.ts";
import { sparseOptimizer, type TrainingSettings } from "../../../src/recsys/training/settings.ts";
import { ClickTrainable } from "../../../src/recsys/training/clickTrainable.ts";
import { RunContext } from "../../../src/run/context.ts";
import { LAST, Trainer, type TrainerState } from "../../../src/run/trainer.ts";
import type { RunEvent } from "../../../src/run/events.ts";
import { bagLog, type Bags } from "./bags.ts";
import { WatchedStrategy, type Watch } from "./watchedStrategy.ts";

/** Of the only data here. */
const FINGERPRINT = "the only data here";

/** Encoded data to train and validate on. */
export interface RunData {
  /** Folder for checkpoints and FAE files. */
  directory: string;
  train: EncodedDataset;
  validation: EncodedDataset;
}

/** Writes a log to disk. */
export async function encode(
  directory: string,
  source: ClickSource,
  layout: EncodedLayout,
  rowsPerGroup = 512,
): Promise<EncodedDataset> {
  const writer = await EncodedDatasetWriter.create(directory, layout, { rowsPerGroup });
  for await (const batch of source.batches({ batchSize: 4096 })) await writer.append(batch);
  return writer.finish();
}

/** A log of bags whose dense input is a wave: one that counts up would outgrow any rate. */
export function waveLog(bags: Bags, cardinalities: number[]): ClickSource & { layout: EncodedLayout } {
  const log = bagLog(bags, cardinalities);
  return {
    rows: log.rows,
    layout: log.layout,
    async *batches(options) {
      for await (const batch of log.batches(options))
        yield { ...batch, dense: batch.dense.map((x) => Math.sin(x)) };
    },
  };
}

/** A schema for a layout. */
function schemaOf({ dense, cardinalities, multiHot }: EncodedLayout): ClickSchema {
  return {
    label: "label",
    dense: Array.from({ length: dense }, (_, i) => ({
      name: `d${i}`,
      transform: "standard",
      mean: 0,
      deviation: 1,
    })),
    categorical: cardinalities.map((cardinality, i) => ({
      name: `c${i}`,
      encoding: "hash",
      cardinality,
      multiHot,
    })),
  };
}

/** FAE as text. @param shuffle a policy of kind recsys.rate */
export function faeText({
  budget = 6400,
  sample = 0.5,
  shuffle = "fixed",
}: { budget?: number; sample?: number; shuffle?: string } = {}): string {
  return `fae:budget=${budget},sample=${sample},shuffle=(${shuffle})`;
}

/** Embedding dimension of a small run. */
export const DIM = 8;

/** Settings of a small run. */
export const smallSettings: TrainingSettings = {
  model: "dlrm:dim=8,bottom=8,top=(16,8)",
  strategy: "baseline",
  hot: "topk",
  optimizer: "sgd",
  learningRate: 0.05,
  decay: "linear",
  batchSize: 64,
  epochs: 2,
  patience: 5,
  device: "cpu",
  seed: 5,
  threads: 1,
};

/** A network for data. */
function networkFor(data: RunData, settings: TrainingSettings): Promise<ClickNetwork> {
  const maxLookups = maxLookupsOf(data.train, settings.batchSize);
  return ClickNetwork.create(settings, schemaOf(data.train.layout), { maxLookups });
}

/** The FAE file that settings ask for. */
export function faeFileFor(data: RunData, settings: TrainingSettings): Promise<FaeFile> {
  const { hot, seed, optimizer } = settings;
  const rowBytes = bytesPerRow(sparseOptimizer(optimizer), DIM);
  const options = strategyPolicies.parse(settings.strategy, "settings").options as FaeOptions;
  const config = faeConfig(options, { hot, rowBytes, seed });
  return prepareFaeFile({
    directory: join(data.directory, `fae-${digest(config)}`),
    source: data.train,
    layout: data.train.layout,
    datasetHash: FINGERPRINT,
    config,
  });
}

/** How to run. */
export interface RunOptions {
  settings: TrainingSettings;
  /** Name of the checkpoints' folder in the data's. */
  name: string;
  /** Goes on from the folder's last checkpoint. */
  resume?: boolean;
  signal?: AbortSignal;
  onEvent?: (event: RunEvent) => void;
  watch?: Watch;
  /** Makes the strategy, instead of the settings' one. */
  makeStrategy?: (network: ClickNetwork, onEvent: (event: RunEvent) => void) => Promise<TrainingStrategy>;
}

/** What a run came to. */
export interface RunOutcome {
  finished: boolean;
  /** Of dense parameters, slots, rows and their optimizer state. */
  hash: string;
  state: TrainerState;
  sync: TrainingStrategy["sync"];
  hot: TrainingStrategy["hot"];
  /** Validation metrics after each epoch. */
  validation: { logLoss: number; auc: number; accuracy: number }[];
}

/** Trains a network as a run does, from the start or from a checkpoint. */
export async function run(data: RunData, options: RunOptions): Promise<RunOutcome> {
  const { settings, name, signal } = options;
  const directory = join(data.directory, name);
  const validation: RunOutcome["validation"] = [];
  const onEvent = (event: RunEvent): void => {
    if (event.event === "metrics" && event.part === "validation") {
      const { logLoss, auc, accuracy } = event;
      validation.push({ logLoss, auc: auc!, accuracy: accuracy! });
    }
    options.onEvent?.(event);
  };
  const network = await networkFor(data, settings);
  const context = new RunContext({ onEvent, ...(signal && { signal }) });
  let strategy: TrainingStrategy | undefined;
  const trainable = new ClickTrainable({
    config: { source: { paths: [] }, prepare: {}, settings, prepared: null },
    network,
    train: data.train,
    validation: data.validation,
    test: data.validation,
    context,
    run: directory,
    async createStrategy(saved, onEvent) {
      const dataset = { train: data.train, fingerprint: FINGERPRINT };
      strategy = options.makeStrategy
        ? await options.makeStrategy(network, onEvent)
        : await createStrategy({ settings }, dataset, network, { clock: context.clock, onEvent }, saved);
      return new WatchedStrategy(strategy, options.watch ?? {});
    },
  });
  try {
    const state = options.resume
      ? ((await trainable.load(join(directory, LAST))) as unknown as TrainerState)
      : null;
    await trainable.start(state?.position ?? null);
    const trainer = new Trainer({ trainable, context, directory, ...(state && { state }) });
    const finished = await trainer.run();
    const hash = await hashOf(network);
    const { sync, hot } = strategy!;
    return { finished, hash, state: trainer.state, sync, hot, validation };
  } finally {
    await trainable.dispose();
  }
}

/** A hash of all that a network has learned. */
async function hashOf({ device, dense, tables }: ClickNetwork): Promise<string> {
  const hash = createHash("sha256");
  for (const name of [...dense.network.parameters.names, ...dense.network.optimizerState.names]) {
    hash.update(name).update(bytes(await device.readState(name)));
  }
  for (const [table, rows] of tables.cardinalities.entries()) {
    const { weights, state } = tables.readRows(table, 0, rows);
    hash.update(bytes(weights));
    for (const [name, values] of Object.entries(state)) hash.update(name).update(bytes(values));
  }
  return hash.digest("hex");
}

function bytes(array: ArrayBufferView): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
