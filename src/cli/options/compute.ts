/** @file The options of what computes: threads and the device. */
import { availableParallelism } from "node:os";
import { wholeNumber } from "../../base/optionSchemas.ts";
import { listWords, option, words } from "./spec.ts";

const DEVICES = { cpu: "", cuda: "an NVIDIA GPU" } as const;
const PRECISIONS = { float32: "", tf32: "faster; keeps 10 bits of mantissa" } as const;

/** `--threads`. */
export const threads = option("n", wholeNumber({ min: 1, max: 1024 }), {
  meaning: "Threads that compute",
  default: availableParallelism(),
  defaultText: "the number of cores",
});

/** `--device`, of commands that run a model. */
export const device = option("name", words(DEVICES), {
  meaning: `What computes the network: ${listWords(DEVICES)}`,
  default: "cpu",
});

/** How a GPU multiplies matrices. */
export const precision = words(PRECISIONS);

/** Meaning of `--precision`. */
export const precisionMeaning = `How a GPU multiplies matrices: ${listWords(PRECISIONS)}`;

/** What a command computes with. */
export const computeOptions = { threads, device };
