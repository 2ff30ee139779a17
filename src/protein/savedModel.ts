/**
 * @file A trained protein model as a folder: `config.json` says what it is (network, families, alphabet, threshold,
 * quality where it was measured), `weights.safetensors` holds its float32 weights.
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { crc32 } from "node:zlib";
import { z } from "zod";
import { SafetensorsFile } from "../base/safetensors.ts";
import { ParetoError } from "../base/errors.ts";
import { paretoVersion } from "../base/environment.ts";
import { viewBytes } from "../base/dtype.ts";
import { writeText } from "../base/files.ts";
import { readJsonIfExists, unusableJson, type JsonFormat } from "../base/jsonFile.ts";
import { workUnderWayIn } from "../run/runFolder.ts";
import { sameShape, formatShape } from "../base/shape.ts";
import { writeSafetensors } from "../base/writeSafetensors.ts";
import { PROTEIN_MODELS, proteinModel } from "./models/models.ts";
import { ProteinNetwork } from "./network/proteinNetwork.ts";
import { openReplicas } from "./network/replicas.ts";
import { proteinParameters } from "./network/traceProtein.ts";

/** Folder of the model that ships with Pareto, of the 73 families of HF73; `classify` uses it when it is given none. */
export const DEFAULT_MODEL_PATH = fileURLToPath(new URL("../../models/profamnet-hf73", import.meta.url));

const CONFIG = "config.json";
const WEIGHTS = "weights.safetensors";
/** The version of `config.json` that is written, and the newest that is read. */
const VERSION = 1;
/** The alphabet of 22 ids that models of this version read. */
const ALPHABET_VERSION = 1;

const schema = z.object({
  format: z.literal("pareto-protein-model"),
  version: z.literal(VERSION),
  /** Version of Pareto that wrote it. */
  pareto: z.string(),
  /** What it is called in predictions, e.g. `profamnet-1f0c93aa`. */
  name: z.string(),
  network: z.enum(PROTEIN_MODELS),
  /** Names by class number. */
  families: z.array(z.string()).min(2),
  alphabet: z.literal(ALPHABET_VERSION),
  /** Residues that the network reads. */
  length: z.int().min(4).max(65_536),
  /** Below this largest probability a sequence is of no known family. */
  threshold: z.number().min(0).max(1),
  parameters: z.int(),
  /** What it was trained on, and how well it did. */
  trained: z.record(z.string(), z.json()),
  /** Checksum of the weights, tensors in the order of the file. */
  weightsCrc32: z.int(),
});

/** `config.json`. */
export type ProteinModelConfig = z.infer<typeof schema>;

const modelFormat: JsonFormat<ProteinModelConfig> = {
  noun: "protein model",
  schema,
  newest: { version: VERSION, alphabet: ALPHABET_VERSION },
  codes: { damaged: "PROTEIN_MODEL_DAMAGED", version: "PROTEIN_MODEL_VERSION" },
  fix: "Restore the folder from a copy, or train again.",
};

/** What is saved beside the weights. */
export type ProteinModelFacts = Pick<
  ProteinModelConfig,
  "network" | "families" | "length" | "threshold" | "trained"
>;

/**
 * Saves a network's weights and what has to be known to use them.
 * @param directory made if absent
 * @throws ParetoError FILE_DISK_FULL, FILE_REFUSED
 */
export async function saveProteinModel(
  directory: string,
  network: ProteinNetwork,
  facts: ProteinModelFacts,
): Promise<ProteinModelConfig> {
  const { parameters } = network;
  const tensors = parameters.names.map((name) => ({
    name,
    dtype: "float32" as const,
    shape: parameters.shapeOf(name),
    async *chunks() {
      yield await network.readWeight(name);
    },
  }));
  let checksum = 0;
  await writeSafetensors(join(directory, WEIGHTS), tensors, { kind: "protein-model" }, (_, chunk) => {
    checksum = crc32(viewBytes(chunk), checksum);
  });
  const config: ProteinModelConfig = {
    format: "pareto-protein-model",
    version: VERSION,
    pareto: paretoVersion(),
    name: `${facts.network}-${checksum.toString(16).padStart(8, "0")}`,
    alphabet: ALPHABET_VERSION,
    parameters: network.size,
    weightsCrc32: checksum,
    ...facts,
  };
  await writeText(join(directory, CONFIG), `${JSON.stringify(config, null, 1)}\n`);
  return config;
}

/** A saved model's description, and its folder. */
export interface ProteinModelFolder {
  directory: string;
  config: ProteinModelConfig;
}

/**
 * Finds a saved model: a folder with one, or a run's folder, whose model lies in `model/`.
 * @throws ParetoError PROTEIN_MODEL_MISSING, PROTEIN_MODEL_DAMAGED, PROTEIN_MODEL_VERSION
 */
export async function openProteinModel(path: string): Promise<ProteinModelFolder> {
  for (const directory of [path, join(path, "model")]) {
    const file = join(directory, CONFIG);
    const config = await readJsonIfExists(modelFormat, file);
    if (config !== null) return { directory, config };
  }
  const work = workUnderWayIn(path);
  throw new ParetoError({
    code: "PROTEIN_MODEL_MISSING",
    where: path,
    message: `${work ? `${work} and has saved no model yet` : `there is no trained protein model here (no ${CONFIG})`}, got ${path}`,
    fix: work
      ? "Wait for its end."
      : "Give the folder of a run of `pareto protein train` that has come to its end, or of a saved model.",
  });
}

/**
 * A saved model on a device, its weights checked and loaded.
 * @throws ParetoError PROTEIN_MODEL_DAMAGED, and what opening the device throws
 */
export async function loadProteinNetwork(
  { directory, config }: ProteinModelFolder,
  { device: name, threads, batchSize }: { device: "cpu" | "cuda"; threads: number; batchSize: number },
): Promise<ProteinNetwork> {
  const weights = await readProteinWeights({ directory, config });
  const replicas = await openReplicas(name, { threads, batchSize, purpose: "prediction" });
  const model = proteinModel(config.network, config.families.length);
  return ProteinNetwork.create(replicas, model, { seed: 0, isTraining: false, weights });
}

/**
 * The weights of a saved model, checked against its description.
 * @throws ParetoError PROTEIN_MODEL_DAMAGED
 */
export async function readProteinWeights({
  directory,
  config,
}: ProteinModelFolder): Promise<Map<string, Float32Array>> {
  const parameters = proteinParameters(proteinModel(config.network, config.families.length));
  const known = new Set(parameters.names);
  let file: SafetensorsFile;
  try {
    file = await SafetensorsFile.open(join(directory, WEIGHTS));
  } catch (error) {
    throw damaged(directory, `${WEIGHTS} cannot be read`, (error as Error).message, error);
  }
  try {
    const weights = new Map<string, Float32Array>();
    let checksum = 0;
    for (const [name, { dtype, shape }] of file.tensors) {
      const wanted = known.has(name) ? parameters.shapeOf(name) : undefined;
      if (!wanted || dtype !== "float32" || !sameShape(wanted, shape)) {
        const needed = wanted ? `float32 ${formatShape(wanted)}` : "no such tensor";
        throw damaged(directory, `the network has ${needed} as "${name}"`, `${dtype} ${formatShape(shape)}`);
      }
      const values = (await file.read(name)) as Float32Array;
      checksum = crc32(viewBytes(values), checksum);
      weights.set(name, values);
    }
    const missing = parameters.names.find((name) => !weights.has(name));
    if (missing !== undefined) throw damaged(directory, `${WEIGHTS} lacks a tensor`, missing);
    if (parameters.size !== config.parameters)
      throw damaged(directory, `${CONFIG} should say parameters ${parameters.size}`, config.parameters);
    if (checksum !== config.weightsCrc32) {
      throw damaged(directory, `the weights should have checksum ${config.weightsCrc32}`, checksum);
    }
    return weights;
  } finally {
    await file.close();
  }
}

function damaged(directory: string, problem: string, received: unknown, cause?: unknown): ParetoError {
  return unusableJson(modelFormat, directory, problem, received, cause);
}
