/** @file The options of a model and of its memory, shared by `train` and `profile`. */
import type { Command } from "commander";
import type { TrainingSettings } from "../../recsys/training/settings.ts";
import { byteCount, oneOf, positiveNumber, wholeNumber, widthList } from "./values.ts";
import { deviceOption, threadsOption, withDefault, type ComputeFlags } from "./compute.ts";

/** What `modelOptions` adds to a command. */
export interface ModelFlags extends ComputeFlags {
  model: "dlrm";
  hotBudget: number;
  sampleRate: number;
  hotPolicy: TrainingSettings["hotPolicy"];
  rate: number;
  dim: number;
  bottom: number[];
  top: number[];
  optimizer: TrainingSettings["optimizer"];
  batchSize?: number;
  seed: number;
  placement: "auto" | "device" | "hybrid" | "fae";
  precision: NonNullable<TrainingSettings["precision"]>;
}

/** Adds the options. */
export function modelOptions(command: Command): Command {
  return command
    .option("--model <name>", "the model: dlrm", oneOf("--model", ["dlrm"]), "dlrm")
    .addOption(
      withDefault(
        "--hot-budget <size>",
        "fae: memory for hot rows with their optimizer state",
        byteCount("--hot-budget"),
        256 * 2 ** 20,
        "256MiB",
      ),
    )
    .option(
      "--sample-rate <share>",
      "fae: share of the training inputs that the access profile looks at, above 0, at most 1",
      positiveNumber("--sample-rate", 1),
      0.05,
    )
    .option(
      "--hot-policy <name>",
      "fae: threshold (a share of each table's accesses) or topk (the most used rows of all tables)",
      oneOf("--hot-policy", ["threshold", "topk"]),
      "threshold",
    )
    .option(
      "--rate <percent>",
      "fae: percent of the cold and of the hot batches in a round, at first; 1 to 100",
      positiveNumber("--rate", 100),
      50,
    )
    .option("--dim <n>", "embedding dimension", wholeNumber("--dim", 1, 4096), 16)
    .addOption(
      withDefault(
        "--bottom <widths>",
        "hidden widths of the MLP on dense inputs",
        widthList("--bottom"),
        [512, 256, 64],
        "512,256,64",
      ),
    )
    .addOption(
      withDefault(
        "--top <widths>",
        "hidden widths of the MLP on interactions",
        widthList("--top"),
        [512, 256],
        "512,256",
      ),
    )
    .option(
      "--optimizer <name>",
      "sgd, adagrad, rwsadagrad (one accumulator a row) or adam",
      oneOf("--optimizer", ["sgd", "adagrad", "rwsadagrad", "adam"]),
      "adam",
    )
    .option(
      "--batch-size <n>",
      "inputs in a batch (default: 64 to 2048, so that an epoch has some 200 steps)",
      wholeNumber("--batch-size", 1, 1_048_576),
    )
    .option("--seed <n>", "of initial weights, order, samples and splits", wholeNumber("--seed", 0), 1)
    .addOption(threadsOption())
    .addOption(deviceOption())
    .option(
      "--placement <name>",
      "cuda: rows in GPU memory (device), on the host (hybrid), in GPU memory if they fit (auto); fae means --strategy fae: hot rows in GPU memory, the others on the host",
      oneOf("--placement", ["auto", "device", "hybrid", "fae"]),
      "auto",
    )
    .option(
      "--precision <name>",
      "cuda: how matrices are multiplied: float32, or tf32, which is faster and keeps 10 bits of mantissa",
      oneOf("--precision", ["float32", "tf32"]),
      "float32",
    );
}
