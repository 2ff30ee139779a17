/** @file The options of how a model is trained, and all flags as settings. */
import type { Command } from "commander";
import {
  defaultLearningRate,
  type RequestedSettings,
  type TrainingSettings,
} from "../../recsys/training/settings.ts";
import type { ModelFlags } from "./clickModel.ts";
import { oneOf, positiveNumber, wholeNumber } from "./values.ts";

/** What `scheduleOptions` adds to a command. */
export interface ScheduleFlags {
  strategy: TrainingSettings["strategy"];
  scheduler: TrainingSettings["scheduler"];
  lr?: number;
  decay: TrainingSettings["decay"];
  epochs: number;
  patience: number;
}

/** Adds the options. */
export function scheduleOptions(command: Command): Command {
  return command
    .option(
      "--strategy <name>",
      "baseline, or fae: hot rows in a compact memory, hot and cold batches in turns",
      oneOf("--strategy", ["baseline", "fae"]),
      "baseline",
    )
    .option(
      "--scheduler <name>",
      "fae: adaptive (rounds follow the validation loss) or fixed",
      oneOf("--scheduler", ["adaptive", "fixed"]),
      "adaptive",
    )
    .option(
      "--lr <x>",
      `learning rate (default: ${Object.entries(defaultLearningRate)
        .map(([name, rate]) => `${name} ${rate}`)
        .join(", ")})`,
      positiveNumber("--lr"),
    )
    .option(
      "--decay <name>",
      "the learning rate over all epochs: linear (falls to 0) or constant",
      oneOf("--decay", ["linear", "constant"]),
      "linear",
    )
    .option("--epochs <n>", "passes over the training part", wholeNumber("--epochs", 1), 1)
    .option(
      "--patience <n>",
      "epochs without a better validation log loss before training stops",
      wholeNumber("--patience", 1),
      3,
    );
}

/** Flags as settings. */
export function trainingSettings(flags: ModelFlags & ScheduleFlags): RequestedSettings {
  const { model, strategy, sampleRate, hotPolicy, scheduler, rate, dim, bottom, top, optimizer } = flags;
  const { decay, epochs, patience, seed, threads, device, precision } = flags;
  // Naming the placement after the strategy is naming the strategy.
  const isFae = flags.placement === "fae";
  return {
    model,
    dim,
    bottom,
    top,
    strategy: isFae ? "fae" : strategy,
    hotBudgetBytes: flags.hotBudget,
    sampleRate,
    hotPolicy,
    scheduler,
    shuffleRate: rate,
    optimizer,
    learningRate: flags.lr ?? defaultLearningRate[optimizer],
    decay,
    batchSize: flags.batchSize ?? null,
    epochs,
    patience,
    seed,
    threads,
    device,
    placement: flags.placement === "fae" ? "hybrid" : flags.placement,
    precision,
  };
}
