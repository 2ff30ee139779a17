/** @file Opens the runner of a device. The CUDA one is loaded only where it is asked for. */
import { CpuRunner } from "../cpu/cpuRunner.ts";
import { ParetoError } from "../../engine/errors.ts";
import type { ModelFiles } from "../load/weights.ts";
import type { LlmRunner } from "./runner.ts";

/** Where and how a model runs. */
export interface RunnerOptions {
  device: "cpu" | "cuda";
  /** What weights, keys and values are. `cpu` computes in f32 alone; `cuda` takes bf16 when left out. */
  dtype?: "f32" | "bf16" | "f16";
  /** Texts held at a time. Defaults to 1. */
  seats?: number;
  /** Threads of the host that compute. Defaults to the cores. */
  threads?: number;
  /** Told tensors loaded so far, and in all. */
  onProgress?: (done: number, total: number, unit: "tensors") => void;
}

/**
 * Loads a model. The files may be closed afterwards.
 * @throws ParetoError LLM_DTYPE for another dtype than f32 on `cpu`; what reading and the device refuse
 */
export async function openRunner(files: ModelFiles, options: RunnerOptions): Promise<LlmRunner> {
  const { device, dtype, ...rest } = options;
  if (device === "cuda") {
    const { CudaRunner } = await import("../cuda/cudaRunner.ts");
    return CudaRunner.open(files, { ...rest, dtype: dtype ?? "bf16" });
  }
  if (dtype !== undefined && dtype !== "f32") {
    throw new ParetoError({
      code: "LLM_DTYPE",
      where: "openRunner",
      message: `the cpu device computes in f32, got ${dtype}`,
      fix: "Leave the dtype out, or take the device cuda.",
    });
  }
  return CpuRunner.open(files, rest);
}
