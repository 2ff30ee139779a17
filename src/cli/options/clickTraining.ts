/** @file The options of how a CTR model is trained, and all values as settings. */
import { decimal, wholeNumber } from "../../base/optionSchemas.ts";
import { fullModelText } from "../../recsys/models/registry.ts";
import { hotPolicies } from "../../recsys/strategies/fae/hotPolicies.ts";
import { strategyPolicies } from "../../recsys/strategies/registry.ts";
import { defaultLearningRate, type RequestedSettings } from "../../recsys/training/settings.ts";
import type { ClickModelValues } from "./clickModel.ts";
import { monitorOf, monitorOption } from "./monitor.ts";
import { inGroup, listWords, option, words, type Values } from "./spec.ts";

const DECAYS = { linear: "falls to 0", constant: "" } as const;
const rates = Object.entries(defaultLearningRate).map(([name, rate]) => `${rate} for ${name}`);

/** The options. */
export const clickTrainingOptions = inGroup("Training:", {
  lr: option("x", decimal({ above: 0 }), { meaning: "Learning rate", defaultText: rates.join(", ") }),
  decay: option("name", words(DECAYS), {
    meaning: `The learning rate over all epochs: ${listWords(DECAYS)}`,
    default: "linear",
  }),
  epochs: option("n", wholeNumber({ min: 1 }), { meaning: "Passes over the training rows", default: 1 }),
  patience: option("n", wholeNumber({ min: 1 }), {
    meaning: "Epochs without a better figure of --monitor before training stops",
    default: 3,
  }),
  monitor: monitorOption(["logloss", "auc", "accuracy"]),
});

/** Values of {@link clickTrainingOptions}. */
export type ClickTrainingValues = Values<typeof clickTrainingOptions>;

/**
 * Values as settings; texts of the model and of policies with every option, so that those that mean the same are equal.
 * @throws ParetoError `POLICY_TEXT`, `POLICY_UNKNOWN`, `POLICY_OPTION`, `MODEL_UNKNOWN`, `MODEL_OPTION`
 */
export function trainingSettings(
  values: ClickModelValues &
    Pick<ClickTrainingValues, "decay" | "epochs" | "patience"> &
    Partial<Pick<ClickTrainingValues, "monitor">> & { readonly lr?: number | undefined },
): RequestedSettings {
  const { model, strategy, hot, optimizer, batchSize } = values;
  const { decay, epochs, patience, seed, threads, device, precision, placement } = values;
  return {
    model: fullModelText(model),
    strategy: strategyPolicies.fullText(strategy, "--strategy"),
    hot: hotPolicies.fullText(hot, "--hot"),
    optimizer,
    learningRate: values.lr ?? defaultLearningRate[optimizer],
    decay,
    batchSize: batchSize ?? null,
    epochs,
    patience,
    ...(values.monitor && { monitor: monitorOf(values.monitor) }),
    seed,
    threads,
    device,
    placement,
    precision,
  };
}
