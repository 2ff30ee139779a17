/** @file Opens the runner of a device. The CUDA one is loaded only where it is asked for. */
import { CpuRunner } from "../cpu/cpuRunner.ts";
import type { ModelFiles } from "../load/weights.ts";
import { requireNumbers } from "../optionChecks.ts";
import { dtypeOf, type LlmDtype } from "./dtype.ts";
import type { LlmRunner } from "./runner.ts";

/** Where and how a model runs. */
export interface RunnerOptions {
  device: "cpu" | "cuda";
  /** What weights, keys and values are. `cpu` computes in f32 alone; `cuda` takes bf16 when left out. */
  dtype?: LlmDtype;
  /** Sequences held at a time. Defaults to 1. */
  maxSequences?: number;
  /** Threads of the host that compute. Defaults to the cores. */
  threads?: number;
  /** Receives tensors loaded so far, and in all. */
  onProgress?: (done: number, total: number, unit: "tensors") => void;
}

/**
 * Loads a model. The files may be closed afterwards.
 * @throws ParetoError LLM_OPTION; LLM_DTYPE for another dtype than f32 on `cpu`; what reading and the device refuse
 */
export async function openRunner(files: ModelFiles, options: RunnerOptions): Promise<LlmRunner> {
  const { device, ...rest } = options;
  const atLeastOne = { min: 1, isWhole: true };
  requireNumbers("openRunner", options, { maxSequences: atLeastOne, threads: atLeastOne });
  const dtype = dtypeOf(device, options.dtype, "openRunner");
  if (device === "cpu") return CpuRunner.open(files, rest);
  const { CudaRunner } = await import("../cuda/cudaRunner.ts");
  return CudaRunner.open(files, { ...rest, dtype });
}
