/** @file What runs leave behind: records, event logs, checkpoints, encoders, encoded data sets, FAE files. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { pageOfRuns } from "../../../src/cli/runReport.ts";
import { CHECKPOINT_FILE, openCheckpoint } from "../../../src/run/checkpoint.ts";
import { readRun } from "../../../src/run/readRun.ts";
import { Encoder } from "../../../src/recsys/data/encode/encoder.ts";
import { EncodedDataset } from "../../../src/recsys/data/encode/encodedDataset.ts";
import { decodeFaeHead, encodeFaeHead } from "../../../src/recsys/strategies/fae/faeHeader.ts";
import { CTR_CHECKPOINT } from "../../../src/recsys/training/clickNetwork.ts";
import { trainClicks } from "../../../src/recsys/training/trainClicks.ts";
import { openTrainedModel } from "../../../src/recsys/training/trainedModel.ts";
import { filesBelow } from "../filesBelow.ts";
import type { FuzzTarget, SeedFiles } from "../target.ts";

/** Trains for an epoch; a folder with `run/` and the data sets that it was trained on in `cache/`. */
async function trainedRun(folder: string): Promise<Map<string, Uint8Array>> {
  await mkdir(folder, { recursive: true });
  const log = join(folder, "log.csv");
  const rows = Array.from(
    { length: 300 },
    (_, i) => `${i % 3 === 0 ? 1 : 0},${i % 11},s${i % 7},u${(i * 7) % 50}`,
  );
  await writeFile(log, `click,price,shop,user\n${rows.join("\n")}\n`);
  await trainClicks({
    directory: join(folder, "run"),
    cacheDirectory: join(folder, "cache"),
    config: {
      source: { paths: [log] },
      prepare: { label: "click" },
      settings: {
        model: "dlrm:dim=4,bottom=4,top=(4)",
        strategy: "baseline",
        hot: "topk",
        optimizer: "sgd",
        learningRate: 0.1,
        decay: "linear",
        batchSize: 64,
        epochs: 1,
        patience: 5,
        device: "cpu",
        seed: 5,
        threads: 1,
      },
    },
  });
  return filesBelow(folder);
}

/** The files below a folder of these, by their paths within. */
function below(files: SeedFiles, folder: string): Map<string, Uint8Array> {
  const prefix = `${folder}/`;
  const found = [...files].filter(([path]) => path.startsWith(prefix));
  return new Map(found.map(([path, bytes]) => [path.slice(prefix.length), bytes]));
}

/** A manifest with the checksum of what it says. */
function mendManifest(bytes: Uint8Array): Uint8Array {
  try {
    const { crc32: _, ...manifest } = JSON.parse(Buffer.from(bytes).toString()) as Record<string, unknown>;
    return Buffer.from(JSON.stringify({ ...manifest, crc32: crc32(JSON.stringify(manifest)) }));
  } catch {
    return bytes;
  }
}

const run: FuzzTarget = {
  name: "run",
  async makeSeeds(scratch) {
    const files = below(await trainedRun(scratch), "run");
    return [new Map([...files].filter(([path]) => !path.endsWith(".html") && path !== "lock"))];
  },
  words: [
    '"config":null',
    "{}",
    "null",
    '"event":"metrics"',
    '"logLoss":',
    "\n",
    '{"event":"resumed","step":0}',
    "1e999",
  ],
  mend: (path, bytes) => (path.endsWith(CHECKPOINT_FILE) ? mendManifest(bytes) : bytes),
  async read(folder) {
    await readRun(folder);
    await pageOfRuns([folder]);
    await openTrainedModel(folder);
  },
};

const checkpoint: FuzzTarget = {
  name: "checkpoint",
  async makeSeeds(scratch) {
    return [below(await trainedRun(scratch), "run/checkpoints/last")];
  },
  words: ['"crc32":', '"file":"x.safetensors"', '"kind":"x"', "null"],
  mend: (path, bytes) => (path === CHECKPOINT_FILE ? mendManifest(bytes) : bytes),
  async read(folder) {
    const opened = await openCheckpoint(folder, CTR_CHECKPOINT);
    try {
      await opened.verify();
    } finally {
      await opened.close();
    }
  },
};

const encoder: FuzzTarget = {
  name: "encoder",
  async makeSeeds(scratch) {
    return [below(await trainedRun(scratch), "run/encoder")];
  },
  words: ['"encoding":"vocabulary"', '"kind":"text"', "null"],
  async read(folder) {
    await Encoder.load(folder);
  },
};

const dataset: FuzzTarget = {
  name: "encoded-data",
  async makeSeeds(scratch) {
    const files = await trainedRun(scratch);
    const folders = [...files.keys()]
      .filter((path) => path.endsWith("layout.json"))
      .map((path) => path.slice(0, -"/layout.json".length));
    return folders.map((folder) => below(files, folder)).filter((found) => found.size > 0);
  },
  words: ['"rows":', '"groups":[]', '"multiHot":true', '"cardinalities":[1]'],
  async read(folder) {
    const data = await EncodedDataset.open(folder);
    for await (const _ of data.batches({ batchSize: 64 }));
  },
};

const fae: FuzzTarget = {
  name: "fae",
  makeSeeds: async () => {
    const header = {
      datasetHash: "x",
      config: { hot: "topk", budgetBytes: 1000, rowBytes: 16, sampleRate: 0.5, seed: 1 },
      tableSizes: [10, 20],
      hotRows: 3,
      threshold: null,
      sampledInputs: 10,
      accessShare: 0.5,
      hotInputs: 5,
      coldInputs: 5,
      seconds: { sample: 0, select: 0, partition: 0 },
      files: [{ path: "hot/rows.bin", sizeBytes: 8, crc32: 1 }],
    };
    return [new Map([["fae.bin", encodeFaeHead(header, Uint32Array.of(1, 2, 13))]])];
  },
  words: ['"hotRows":4', "null", '"threshold":1'],
  mend(_, bytes) {
    const mended = Buffer.from(bytes);
    if (mended.length >= 4) mended.writeUInt32LE(crc32(mended.subarray(0, -4)), mended.length - 4);
    return mended;
  },
  async read(folder) {
    decodeFaeHead(await readFile(join(folder, "fae.bin")));
  },
};

/** Readers of what runs leave behind. */
export const runTargets: readonly FuzzTarget[] = [run, checkpoint, encoder, dataset, fae];
