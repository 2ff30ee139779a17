/** @file The options of a CTR model and of the memory for its embedding rows, shared by `recsys train` and `profile`. */
import { byteSize, decimal, listOf, wholeNumber } from "../../base/optionSchemas.ts";
import { device, precision, precisionMeaning, threads } from "./compute.ts";
import { inGroup, listWords, option, words, type Values } from "./spec.ts";

const MODELS = { dlrm: "deep learning recommendation model" } as const;
const OPTIMIZERS = { sgd: "", adagrad: "", rwsadagrad: "one accumulator a row", adam: "" } as const;
const HOT_POLICIES = {
  threshold: "rows above a share of their table's accesses",
  topk: "the most used rows of all tables",
} as const;
const PLACEMENTS = {
  auto: "in GPU memory if they fit",
  device: "in GPU memory",
  hybrid: "on the host",
  fae: "hot rows in GPU memory and the others on the host, with --strategy fae",
} as const;
const layers = listOf(wholeNumber({ min: 1, max: 65_536 }));

/** The options. */
export const clickModelOptions = {
  ...inGroup("Model:", {
    model: option("name", words(MODELS), { meaning: `CTR model: ${listWords(MODELS)}`, default: "dlrm" }),
    dim: option("n", wholeNumber({ min: 1, max: 4096 }), {
      meaning: "Width of an embedding row, in numbers",
      default: 16,
    }),
    bottom: option("widths", layers, {
      meaning: "Hidden widths of the MLP on dense inputs, between commas",
      default: [512, 256, 64],
    }),
    top: option("widths", layers, {
      meaning: "Hidden widths of the MLP on interactions, between commas",
      default: [512, 256],
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
  ...inGroup("FAE (--strategy fae):", {
    hotBudget: option("size", byteSize(), {
      meaning: "Memory for hot rows with their optimizer state",
      unit: "bytes, KiB, MiB or GiB",
      default: 256 * 2 ** 20,
      defaultText: "256MiB",
    }),
    sampleRate: option("share", decimal({ above: 0, max: 1 }), {
      meaning: "Share of the training rows that the access profile is made from, above 0 and at most 1",
      default: 0.05,
    }),
    hotPolicy: option("name", words(HOT_POLICIES), {
      meaning: `Which rows are hot: ${listWords(HOT_POLICIES)}`,
      default: "threshold",
    }),
    rate: option("percent", decimal({ above: 0, max: 100 }), {
      meaning: "First share of the cold and of the hot batches in a round",
      unit: "percent",
      default: 50,
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

/** Values of {@link clickModelOptions}. */
export type ClickModelValues = Values<typeof clickModelOptions>;
