/** @file The doctor: findings of real computations, and that wrong results and missing parts are found. */
import { afterEach, expect, test, vi } from "vitest";
import { bestSeconds, check } from "../../../../src/engine/doctor/check.ts";
import { diagnose } from "../../../../src/engine/doctor/diagnose.ts";
import { ParetoError } from "../../../../src/base/errors.ts";
import { CpuDevice, ThreadPool } from "../../../../src/engine/targets/cpu/index.ts";
import { ReferenceDevice } from "../../../../src/engine/targets/reference/device.ts";

afterEach(() => vi.restoreAllMocks());

const named = (checks: Awaited<ReturnType<typeof diagnose>>["checks"], name: string) =>
  checks.find((found) => found.name === name);

test("the reference target passes an exact product", async () => {
  const { target, checks, ok } = await diagnose("reference");
  expect({ target, ok }).toEqual({ target: "reference", ok: true });
  expect(named(checks, "exact product")).toMatchObject({ ok: true, value: "right" });
  expect(named(checks, "node")).toMatchObject({ ok: true, value: process.versions.node });
  expect(named(checks, "random rows")).toBeUndefined();
});

test("the cpu target passes, with rates of products, copies and gathers", async () => {
  const { checks, ok } = await diagnose("cpu", { threads: 2 });
  expect(checks.filter((found) => !found.ok)).toEqual([]);
  expect(ok).toBe(true);
  expect(named(checks, "onnxruntime")!.value).toMatch(/^\d+\.\d+\.\d+/);
  for (const [name, unit] of [
    ["matrix product", "GFLOP/s"],
    ["copy bandwidth", "GB/s"],
    ["random rows", "million rows/s"],
  ] as const) {
    const found = named(checks, name)!;
    expect(found.unit).toBe(unit);
    expect(found.value).toBeGreaterThan(0.1);
  }
});

test("an unknown target is the caller's mistake", async () => {
  await expect(diagnose("abacus")).rejects.toMatchObject({ code: "TARGET_UNKNOWN" });
});

test("one wrong element of a product is found", async () => {
  const { compile } = ReferenceDevice.prototype;
  vi.spyOn(ReferenceDevice.prototype, "compile").mockImplementation(async function (
    this: ReferenceDevice,
    graph,
  ) {
    const program = await compile.call(this, graph);
    const run = program.run.bind(program);
    program.run = async (...feeds) => {
      const outputs = await run(...feeds);
      outputs["c"]![77]! += 1;
      return outputs;
    };
    return program;
  });
  const { checks, ok } = await diagnose("reference");
  expect(ok).toBe(false);
  expect(named(checks, "exact product")).toMatchObject({
    ok: false,
    value: "wrong",
    detail: expect.stringContaining("Element 77"),
  });
});

test("rows that are not moved, and a device that does not answer, are found", async () => {
  vi.spyOn(ThreadPool.prototype, "run").mockResolvedValue();
  vi.spyOn(CpuDevice.prototype, "compile").mockRejectedValue(
    new ParetoError({ code: "X", where: "x", message: "no runtime", fix: "Install it" }),
  );
  const { checks, ok } = await diagnose("cpu", { threads: 1 });
  expect(ok).toBe(false);
  expect(named(checks, "exact product")).toMatchObject({
    ok: false,
    value: null,
    detail: "no runtime. Install it",
  });
  expect(named(checks, "matrix product")!.ok).toBe(false);
  expect(named(checks, "copy bandwidth")).toMatchObject({
    ok: false,
    detail: expect.stringContaining("are wrong"),
  });
  expect(named(checks, "random rows")!.ok).toBe(false);
});

test("a check that throws anything is a finding", async () => {
  const found = await check("x", () => {
    throw new RangeError("out of luck");
  });
  expect(found).toEqual({ name: "x", ok: false, value: null, unit: "", detail: "it failed: out of luck" });
});

test("the best time is that of the fastest run, the first not counted", async () => {
  let clock = 0;
  vi.spyOn(performance, "now").mockImplementation(() => clock);
  const times = [1, 60, 20, 60];
  let runs = 0;
  const seconds = await bestSeconds(100, async () => (clock += times[runs++]!));
  expect(seconds).toBe(0.02);
  expect(runs).toBe(4);
});
