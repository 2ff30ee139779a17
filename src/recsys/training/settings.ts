/** @file Everything that decides a training run, as plain data, with its defaults. */
import { z } from "zod";
import { ParetoError } from "../../base/errors.ts";
import type { DenseOptimizer } from "../../nn/optimizers.ts";
import { mayChange } from "../../run/resumedConfig.ts";
import type { SparseOptimizer } from "../embedding/sparseOptimizer.ts";
import { parseStrategy } from "../strategies/registry.ts";

const count = z.int().min(1);

/** A training run's settings. */
export const trainingSettings = z.strictObject({
  /** The CTR model, as text: `dlrm:dim=16,bottom=(512,256,64),top=(512,256)`; see `models/registry.ts`. */
  model: z.string(),
  // Where rows are and how many threads work changes no result, or no more than the order of training.
  /** The strategy, as text: `baseline`, `fae:budget=256MiB`; see `strategies/registry.ts`. */
  strategy: mayChange(z.string()),
  /** The policy that chooses hot rows for strategies that keep some, as text; see `strategies/fae/hotPolicies.ts`. */
  hot: mayChange(z.string()),
  /** For rows and dense parameters together. */
  optimizer: z.enum(["sgd", "adagrad", "rwsadagrad", "adam"]),
  learningRate: z.number().positive(),
  /** How the learning rate falls over all epochs: not at all, or linearly to 0. */
  decay: z.enum(["constant", "linear"]),
  batchSize: count.max(1_048_576),
  epochs: count,
  /** Epochs without a better {@link monitor} on the validation part before training stops. */
  patience: count,
  /** The figure on the validation part that says which epoch's weights are kept. Defaults to `logLoss`. */
  monitor: z.enum(["logLoss", "auc", "accuracy"]).exactOptional(),
  seed: z.int().min(0),
  /** Threads of the dense step, and as many kernel threads. */
  threads: mayChange(count.max(1024)),
  /** Target that the dense part runs on. */
  device: mayChange(z.enum(["cpu", "cuda"])),
  /**
   * Which memory holds the rows when a GPU computes: `device`, all in its memory; `hybrid`, all in the host's, from where
   * they are gathered for each batch; `auto`, device if they fit. A strategy that needs its rows on the host has them there.
   * Defaults to `auto`.
   */
  placement: mayChange(z.enum(["auto", "device", "hybrid"]).exactOptional()),
  /** How a GPU multiplies float32 matrices. Defaults to `float32`. */
  precision: mayChange(z.enum(["float32", "tf32"]).exactOptional()),
});

/** A training run's settings. */
export type TrainingSettings = z.infer<typeof trainingSettings>;

/** Optimizers by name, for rows and dense parameters together. */
export type OptimizerName = TrainingSettings["optimizer"];

/**
 * Checks that device, placement, precision and strategy go together.
 * @throws ParetoError `TRAIN_PLACEMENT`, and as `parseStrategy`
 */
export function checkPlacement({
  device,
  placement = "auto",
  precision = "float32",
  strategy,
}: Pick<TrainingSettings, "device" | "placement" | "precision" | "strategy">): void {
  const refuse = (message: string, fix: string): never => {
    throw new ParetoError({ code: "TRAIN_PLACEMENT", where: "--placement", message, fix });
  };
  if (device !== "cuda" && placement !== "auto") {
    refuse(
      `rows are placed between the host and a GPU, got --placement ${placement} with --device ${device}`,
      "Add --device cuda, or leave --placement out.",
    );
  }
  if (device !== "cuda" && precision !== "float32") {
    refuse(
      `only a GPU multiplies in another precision than float32, got --precision ${precision} with --device ${device}`,
      "Add --device cuda, or leave --precision out.",
    );
  }
  const { name, needsHostRows } = parseStrategy(strategy);
  if (needsHostRows && placement === "device") {
    refuse(
      `strategy ${name} reads rows on the host, got --strategy ${strategy} with --placement device`,
      "Use --placement hybrid or leave it out; or train the baseline, which is fastest when all rows are on the GPU.",
    );
  }
}

/** A good learning rate for each optimizer when none is given. */
export const defaultLearningRate: Record<OptimizerName, number> = {
  sgd: 0.1,
  adagrad: 0.01,
  rwsadagrad: 0.01,
  adam: 0.001,
};

/** Steps that an epoch should have, and the batch sizes that its default stays within. */
const EPOCH_STEPS = 200;
const BATCH_LIMITS = [64, 2048] as const;

/** A batch size for so many training rows: a power of two that gives an epoch some 200 steps, 64 to 2,048. */
function defaultBatchSize(rows: number): number {
  const power = 2 ** Math.round(Math.log2(Math.max(1, rows / EPOCH_STEPS)));
  return Math.min(BATCH_LIMITS[1], Math.max(BATCH_LIMITS[0], power));
}

/** Settings whose batch size may be left to the data. */
export type RequestedSettings = Omit<TrainingSettings, "batchSize"> & { batchSize: number | null };

/** What says which epoch is best unless settings do. */
export const DEFAULT_MONITOR = "logLoss";

/** Settings with the batch size and the monitored figure decided. */
export function resolveSettings(settings: RequestedSettings, trainRows: number): TrainingSettings {
  const { batchSize, monitor = DEFAULT_MONITOR } = settings;
  return { ...settings, batchSize: batchSize ?? defaultBatchSize(trainRows), monitor };
}

/** Offset of Adagrad's root, as DLRM has it. */
const ADAGRAD_EPSILON = 1e-10;
const ADAM = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

/** How rows are updated. */
export function sparseOptimizer(name: OptimizerName): SparseOptimizer {
  if (name === "sgd") return { kind: "sgd" };
  if (name === "adam") return { kind: "adam", ...ADAM };
  return { kind: name, epsilon: ADAGRAD_EPSILON };
}

/** How dense parameters are updated: rowwise Adagrad means plain Adagrad there, as in DLRM. */
export function denseOptimizer(name: OptimizerName): DenseOptimizer {
  if (name === "sgd") return { kind: "sgd" };
  if (name === "adam") return { kind: "adam", ...ADAM };
  return { kind: "adagrad", epsilon: ADAGRAD_EPSILON };
}
