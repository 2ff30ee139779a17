/** @file The protein benchmarks at small size, as a child process. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import type { BenchRow } from "../../../bench/harness/rows.ts";

const main = fileURLToPath(new URL("../../../bench/main.ts", import.meta.url));
const run = (...options: string[]) =>
  promisify(execFile)(process.execPath, [main, ...options], {
    env: { ...process.env, PARETO_TORCH_PYTHON: "", CUDA_VISIBLE_DEVICES: "" },
  });

describe("npm run bench -- protein", () => {
  test("has its rows at small size, and classifies every record", { timeout: 120_000 }, async () => {
    const { stdout } = await run("protein", "--small", "--only", "cpu,classify,memory", "--json-only");
    const { rows } = JSON.parse(stdout) as { rows: BenchRow[] };
    expect(rows.map((row) => row.case)).toEqual([
      "training, cpu",
      "lengths as in HF73, cpu",
      "classify",
      "classify, length 32",
      "classify memory",
    ]);
    for (const row of rows) expect(row.milliseconds).toBeGreaterThan(0);
    expect(rows[0]).toMatchObject({ limit: "no PyTorch given", ratio: null, met: null });
    expect(rows[4]!.ratio).toBeGreaterThan(0.5);
  });

  test("names its groups when one does not exist", async () => {
    await expect(run("protein", "--only", "gpu")).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining('use: cpu, cuda, classify, memory; got "gpu"'),
    });
  });
});
