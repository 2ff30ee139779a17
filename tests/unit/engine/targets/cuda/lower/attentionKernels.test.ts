/** @file Which kernels an attention gets, by GPU, element type and width, and that their blocks fit. */
import { expect, test } from "vitest";
import type { DType } from "../../../../../../src/base/dtype.ts";
import { attentionKernels } from "../../../../../../src/engine/targets/cuda/lower/attentionKernels.ts";
import type { LowerContext } from "../../../../../../src/engine/targets/cuda/lower/lowering.ts";

const hopper = { arch: "sm_90a", maxSharedBytes: 232_448 };
const ampere = { arch: "sm_80", maxSharedBytes: 166_912 };
const ada = { arch: "sm_89", maxSharedBytes: 101_376 };

/** Kernels for 300 queries and 200 keys of 2 × 6 heads in groups of 3. */
function kernelsFor(gpu: typeof hopper, dtype: DType, width: number) {
  const sizes = { batchHeads: 12, batchKeyHeads: 4, heads: 6, group: 3, queries: 300, keys: 200 };
  const problem = { ...sizes, width, dtype, causal: true, masked: false, ragged: false };
  return attentionKernels(problem, gpu as LowerContext);
}

test.each([
  { gpu: hopper, dtype: "bfloat16", width: 128, file: "attentionForwardStreamed" },
  { gpu: hopper, dtype: "float16", width: 64, file: "attentionForwardStreamed" },
  { gpu: hopper, dtype: "bfloat16", width: 80, file: "attentionForward" },
  { gpu: ampere, dtype: "bfloat16", width: 128, file: "attentionForward" },
  { gpu: ada, dtype: "float16", width: 128, file: "attentionForward" },
  { gpu: hopper, dtype: "float32", width: 128, file: "attentionPlain" },
  { gpu: hopper, dtype: "bfloat16", width: 24, file: "attentionPlain" },
  { gpu: hopper, dtype: "bfloat16", width: 256, file: "attentionForwardStreamed" },
  { gpu: hopper, dtype: "bfloat16", width: 192, file: "attentionForward" },
  { gpu: ampere, dtype: "bfloat16", width: 256, file: "attentionForward" },
  { gpu: ada, dtype: "float16", width: 256, file: "attentionForward" },
  { gpu: hopper, dtype: "bfloat16", width: 208, file: "attentionPlain" },
  { gpu: hopper, dtype: "bfloat16", width: 288, file: "attentionPlain" },
] as const)("$dtype of width $width on $gpu.arch: $file", ({ gpu, dtype, width, file }) => {
  const kernels = kernelsFor(gpu, dtype, width);
  expect(kernels.forward.file).toBe(file);
  for (const { sharedBytes = 0 } of Object.values(kernels))
    expect(sharedBytes).toBeLessThanOrEqual(gpu.maxSharedBytes);
});

test("every row of every head has a block", () => {
  const { forward, delta, keys, queries } = kernelsFor(hopper, "bfloat16", 128);
  const tiles = (rows: number) => Math.ceil(rows / 128);
  expect(forward.grid).toEqual([tiles(300) * 12, 1, 1]);
  expect(delta.grid).toEqual([(300 * 12) / 16, 1, 1]);
  expect(keys.grid).toEqual([tiles(200) * 4, 1, 1]);
  expect(queries.grid).toEqual(forward.grid);
});

test("blocks get smaller where shared memory is scarce", () => {
  const warpsOf = (gpu: typeof hopper) => kernelsFor(gpu, "bfloat16", 128).keys.defines!["WARPS"];
  expect([ampere, ada].map(warpsOf)).toEqual([8, 4]);
});
