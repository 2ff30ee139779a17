/** @file Compiling CUDA C++, where NVRTC is installed; no GPU is needed. */
import { describe, expect, test } from "vitest";
import { isCudaAbsent } from "../../../../../../src/engine/targets/cuda/driver/errors.ts";
import { numberedLines, Nvrtc } from "../../../../../../src/engine/targets/cuda/driver/nvrtc.ts";

function openNvrtc(): Nvrtc | { missing: string } {
  try {
    return Nvrtc.open();
  } catch (error) {
    if (isCudaAbsent(error)) return { missing: error.message };
    throw error;
  }
}

const nvrtc = openNvrtc();
const add = (name: string): { name: string; code: string } => ({
  name,
  code: `extern "C" __global__ void ${name}(float* x, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) x[i] = expf(x[i]) + 1.0f;
}`,
});

describe("NVRTC", () => {
  if (!(nvrtc instanceof Nvrtc)) {
    test.skip(`compiles (skipped: ${nvrtc.missing})`, () => undefined);
    return;
  }

  test("compiles several sources at once to machine code", async () => {
    const cubins = await Promise.all(
      ["first", "second", "third"].map((name) => nvrtc.compile(add(name), "sm_90a")),
    );
    for (const [i, name] of ["first", "second", "third"].entries()) {
      const text = Buffer.from(cubins[i]!).toString("latin1");
      expect(text.slice(1, 4)).toBe("ELF");
      expect(text).toContain(name);
    }
  });

  test("shows its words and the numbered lines of what does not compile, and goes on", async () => {
    const bad = { name: "bad", code: `extern "C" __global__ void bad(float* x) {\n  x[0] = y;\n}` };
    await expect(nvrtc.compile(bad, "sm_80")).rejects.toThrow(
      expect.objectContaining({
        code: "CUDA_COMPILE",
        where: "kernel bad",
        message: expect.stringMatching(/identifier "y" is undefined[^]*\n {4}2 \|   x\[0\] = y;/),
      }),
    );
    expect((await nvrtc.compile(add("after"), "sm_80")).length).toBeGreaterThan(100);
  });

  test("names an architecture that it does not know", async () => {
    await expect(nvrtc.compile(add("k"), "sm_1")).rejects.toThrow(/sm_1/);
  });
});

describe("the lines of a compiler's complaint", () => {
  const source = { name: "k", code: Array.from({ length: 100 }, (_, i) => `line ${i + 1}`).join("\n") };

  test("are those that it names, with their neighbours, once", () => {
    const lines = numberedLines(source, "k.cu(50): error: a\nk.cu(51): error: b\nk.cu(100): error: c");
    expect(lines.split("\n").map((line) => Number(line.split("|")[0]))).toEqual([
      48, 49, 50, 51, 52, 53, 98, 99, 100,
    ]);
    expect(lines).toContain("   50 | line 50");
  });

  test("are the first ones when it names none", () => {
    expect(numberedLines(source, "out of memory").split("\n")).toHaveLength(20);
  });
});
