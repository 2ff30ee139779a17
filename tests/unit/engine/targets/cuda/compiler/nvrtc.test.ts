/** @file NVRTC takes every source that the compiler generates for the op cases; no GPU is needed. */
import { expect, test } from "vitest";
import { isCudaAbsent } from "../../../../../../src/engine/targets/cuda/driver/errors.ts";
import { Nvrtc } from "../../../../../../src/engine/targets/cuda/driver/nvrtc.ts";
import type { KernelSource } from "../../../../../../src/engine/targets/cuda/plan.ts";
import { opCaseList } from "../../../../../support/engine/cases/opCases.ts";
import { valueGraph } from "../../../../../support/engine/opCase.ts";
import { kernelsOf, planOf } from "../../../../../support/engine/lowered.ts";

function openNvrtc(): Nvrtc | { missing: string } {
  try {
    return Nvrtc.open();
  } catch (error) {
    if (isCudaAbsent(error)) return { missing: error.message };
    throw error;
  }
}

const nvrtc = openNvrtc();

if (nvrtc instanceof Nvrtc) {
  test("every op's generated source compiles for an H100", { timeout: 240_000 }, async () => {
    const sources = new Map<string, KernelSource>();
    for (const { testCase } of opCaseList) {
      for (const { source } of kernelsOf(planOf(valueGraph(testCase, "float32")))) {
        if (source.name.startsWith("fused_")) sources.set(source.code, source);
      }
    }
    expect(sources.size).toBeGreaterThan(200);
    await Promise.all([...sources.values()].map((source) => nvrtc.compile(source, "sm_90a")));
  });
} else {
  test.skip(`every op's generated source compiles (skipped: ${nvrtc.missing})`, () => undefined);
}
