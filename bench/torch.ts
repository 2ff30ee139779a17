/**
 * @file PyTorch as a peer. It is found by `PARETO_TORCH_PYTHON`, a Python that has it, and `PARETO_TORCH_SCRIPT`, a
 * script that takes `cpu|hybrid|gpu BATCH STEPS`, trains DLRM of Criteo Kaggle's shape, and prints `… N samples/s`.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";

/** Where its rows and its dense part are: all on the processor, rows there and the rest on the GPU, all on the GPU. */
export type TorchMode = "cpu" | "hybrid" | "gpu";

/** Samples a second of PyTorch, or null when none is given. @throws Error when its script fails or prints no rate */
export async function torchRate(mode: TorchMode, batch: number, steps: number): Promise<number | null> {
  const { PARETO_TORCH_PYTHON: python, PARETO_TORCH_SCRIPT: script } = process.env;
  if (!python || !script) return null;
  const { stdout } = await promisify(execFile)(python, [script, mode, String(batch), String(steps)]);
  const rate = Number(/([\d.]+) samples\/s/.exec(stdout)?.[1]);
  if (!(rate > 0)) throw new Error(`the PyTorch script printed no rate in samples/s, got ${stdout.trim()}`);
  return rate;
}
