/** @file The options of a CTR model and of the memory for its embedding rows, shared by `recsys train` and `profile`. */
import { wholeNumber } from "../../base/optionSchemas.ts";
import { CTR_MODELS } from "../../recsys/models/registry.ts";
import { hotPolicies } from "../../recsys/strategies/fae/hotPolicies.ts";
import { strategyPolicies } from "../../recsys/strategies/registry.ts";
import { device, precision, precisionMeaning, threads } from "./compute.ts";
import { policyText } from "./policy.ts";
import { inGroup, listWords, option, words, type Values } from "./spec.ts";

const OPTIMIZERS = { sgd: "", adagrad: "", rwsadagrad: "one accumulator a row", adam: "" } as const;
const PLACEMENTS = {
  auto: "in GPU memory if they fit",
  device: "in GPU memory",
  hybrid: "on the host",
} as const;
const models = CTR_MODELS.map(({ name }) => name).join(", ");

/** `--strategy`. @param strategy the default */
export const strategyOption = (strategy: string) =>
  inGroup("Strategy:", {
    strategy: option("policy", policyText, {
      meaning: `How batches are trained: ${strategyPolicies.names.join(" or ")}; options follow a colon, e.g. fae:budget=256MiB,sample=5%; \`pareto policies recsys.strategy\` lists them`,
      default: strategy,
    }),
    hot: option("policy", policyText, {
      meaning: `Which embedding rows are hot, for strategies that keep some in a fast memory: ${hotPolicies.names.join(" or ")}; \`pareto policies recsys.hot\` lists their options`,
      default: "threshold",
    }),
  });

/** The options. */
export const clickModelOptions = {
  ...inGroup("Model:", {
    model: option("model", policyText, {
      meaning: `CTR model: ${models}; options follow a colon, e.g. dlrm:dim=16,bottom=(64,32),top=(64,32); \`pareto policies recsys.model\` lists them`,
      default: "dlrm",
    }),
    optimizer: option("name", words(OPTIMIZERS), {
      meaning: `Optimizer: ${listWords(OPTIMIZERS)}`,
      default: "adam",
    }),
    batchSize: option("n", wholeNumber({ min: 1, max: 1_048_576 }), {
      meaning: "Rows in a batch",
      defaultText: "64 to 2048, for some 200 steps an epoch",
    }),
    seed: option("n", wholeNumber({ min: 0 }), {
      meaning: "Seed of initial weights, order, samples and splits",
      default: 1,
    }),
  }),
  ...inGroup("Device:", {
    threads,
    device,
    placement: option("name", words(PLACEMENTS), {
      meaning: `Where embedding rows are with --device cuda: ${listWords(PLACEMENTS)}`,
      default: "auto",
    }),
    precision: option("name", precision, { meaning: precisionMeaning, default: "float32" }),
  }),
};

/** Values of {@link clickModelOptions} and {@link strategyOption}. */
export type ClickModelValues = Values<typeof clickModelOptions & ReturnType<typeof strategyOption>>;
