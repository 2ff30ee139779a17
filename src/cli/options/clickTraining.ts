/** @file The options of how a CTR model is trained, and all values as settings. */
import { decimal, wholeNumber } from "../../base/optionSchemas.ts";
import { defaultLearningRate, type RequestedSettings } from "../../recsys/training/settings.ts";
import type { ClickModelValues } from "./clickModel.ts";
import { inGroup, listWords, option, words, type Values } from "./spec.ts";

const STRATEGIES = {
  baseline: "every batch reads its embedding rows where they are",
  fae: "hot rows in a compact memory, hot and cold batches in turns",
} as const;
const SCHEDULERS = { adaptive: "rounds follow the validation loss", fixed: "" } as const;
const DECAYS = { linear: "falls to 0", constant: "" } as const;
const rates = Object.entries(defaultLearningRate).map(([name, rate]) => `${rate} for ${name}`);

/** The options. */
export const clickTrainingOptions = inGroup("Training:", {
  strategy: option("name", words(STRATEGIES), {
    meaning: `How batches are trained: ${listWords(STRATEGIES)}`,
    default: "baseline",
  }),
  scheduler: option("name", words(SCHEDULERS), {
    meaning: `How FAE divides training into rounds: ${listWords(SCHEDULERS)}`,
    default: "adaptive",
  }),
  lr: option("x", decimal({ above: 0 }), { meaning: "Learning rate", defaultText: rates.join(", ") }),
  decay: option("name", words(DECAYS), {
    meaning: `The learning rate over all epochs: ${listWords(DECAYS)}`,
    default: "linear",
  }),
  epochs: option("n", wholeNumber({ min: 1 }), { meaning: "Passes over the training rows", default: 1 }),
  patience: option("n", wholeNumber({ min: 1 }), {
    meaning: "Epochs without a better validation log loss before training stops",
    default: 3,
  }),
});

/** Values of {@link clickTrainingOptions}. */
export type ClickTrainingValues = Values<typeof clickTrainingOptions>;

/** Values as settings. */
export function trainingSettings(
  values: ClickModelValues &
    Pick<ClickTrainingValues, "strategy" | "scheduler" | "decay" | "epochs" | "patience"> & {
      readonly lr?: number | undefined;
    },
): RequestedSettings {
  const { model, strategy, sampleRate, hotPolicy, scheduler, rate, dim, bottom, top, optimizer } = values;
  const { decay, epochs, patience, seed, threads, device, precision, placement } = values;
  // Naming the placement after the strategy is naming the strategy.
  const isFae = placement === "fae";
  return {
    model,
    dim,
    bottom,
    top,
    strategy: isFae ? "fae" : strategy,
    hotBudgetBytes: values.hotBudget,
    sampleRate,
    hotPolicy,
    scheduler,
    shuffleRate: rate,
    optimizer,
    learningRate: values.lr ?? defaultLearningRate[optimizer],
    decay,
    batchSize: values.batchSize ?? null,
    epochs,
    patience,
    seed,
    threads,
    device,
    placement: placement === "fae" ? "hybrid" : placement,
    precision,
  };
}
