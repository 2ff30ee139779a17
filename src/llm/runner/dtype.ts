/** @file What weights, keys and values are on a device. */
import { ParetoError } from "../../base/errors.ts";

/** Types of weights, keys and values. */
export type LlmDtype = "f32" | "bf16" | "f16";

/**
 * What a device computes in: `cpu` in f32 alone, `cuda` in bf16 unless another is asked for.
 * @param where who asks, for the error
 * @throws ParetoError LLM_DTYPE for another dtype than f32 on `cpu`
 */
export function dtypeOf(device: "cpu" | "cuda", dtype: LlmDtype | undefined, where: string): LlmDtype {
  if (device === "cuda") return dtype ?? "bf16";
  if (dtype === undefined || dtype === "f32") return "f32";
  throw new ParetoError({
    code: "LLM_DTYPE",
    where,
    message: `the cpu device computes in f32, got ${dtype}`,
    fix: "Leave the dtype out, or take the device cuda.",
  });
}
