/**
 * @file PyTorch as a peer. It is found by `PARETO_TORCH_PYTHON`, a Python that has it, and scripts:
 * `PARETO_TORCH_SCRIPT` takes `cpu|hybrid|gpu BATCH STEPS`, trains DLRM of Criteo Kaggle's shape, and prints
 * `… N samples/s`; `PARETO_TORCH_PROTEIN_SCRIPT` takes `cpu|cuda BATCH LENGTH STEPS`, trains ProFamNet, and prints
 * `… N sequences/s`; `PARETO_TORCH_LM_SCRIPT` takes `mpt|gptj|llama PROMPT NEW BATCH`, decodes with a full cache, and
 * prints `… N ms/token-step`.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";

/** Where its rows and its dense part are: all on the processor, rows there and the rest on the GPU, all on the GPU. */
export type TorchMode = "cpu" | "hybrid" | "gpu";

/** Samples a second of PyTorch, or null when none is given. @throws Error when its script fails or prints no rate */
export async function torchRate(mode: TorchMode, batch: number, steps: number): Promise<number | null> {
  return printedRate("PARETO_TORCH_SCRIPT", "samples", [mode, batch, steps]);
}

/** Sequences a second of PyTorch's ProFamNet, as {@link torchRate}. */
export async function torchProteinRate(
  device: "cpu" | "cuda",
  batch: number,
  length: number,
  steps: number,
): Promise<number | null> {
  return printedRate("PARETO_TORCH_PROTEIN_SCRIPT", "sequences", [device, batch, length, steps]);
}

/** Milliseconds of a decode step of transformers, or null when none is given. @throws Error as {@link torchRate} */
export async function torchStepMs(model: string, prompt: number, batch: number): Promise<number | null> {
  return printedNumber("PARETO_TORCH_LM_SCRIPT", "ms/token-step", [model, prompt, 32, batch]);
}

function printedRate(
  variable: string,
  unit: string,
  options: readonly (string | number)[],
): Promise<number | null> {
  return printedNumber(variable, `${unit}/s`, options);
}

async function printedNumber(
  variable: string,
  unit: string,
  options: readonly (string | number)[],
): Promise<number | null> {
  const { PARETO_TORCH_PYTHON: python, [variable]: script } = process.env;
  if (!python || !script) return null;
  const { stdout } = await promisify(execFile)(python, [script, ...options.map(String)]);
  const value = Number(new RegExp(`([\\d.]+) ${unit}`).exec(stdout)?.[1]);
  if (!(value > 0)) throw new Error(`the PyTorch script printed no number of ${unit}, got ${stdout.trim()}`);
  return value;
}
