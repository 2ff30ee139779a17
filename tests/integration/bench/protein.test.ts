/** @file The protein benchmarks at small size, the plan and table of the grid, and the grid as a child process. */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { BenchRow } from "../../../bench/measure.ts";
import { gridRuns, runsNamed, type GridFile, type GridOutcome } from "../../../bench/protein/gridPlan.ts";
import { gridTable, gridTargets } from "../../../bench/protein/gridTable.ts";
import { madeRecords, writeFamilies } from "../../support/protein/madeFamilies.ts";

const programOf = (name: string) => fileURLToPath(new URL(`../../../bench/${name}`, import.meta.url));
const run = (program: string, ...options: string[]) =>
  promisify(execFile)(process.execPath, [programOf(program), ...options], {
    env: { ...process.env, PARETO_TORCH_PYTHON: "", CUDA_VISIBLE_DEVICES: "" },
  });

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pareto-bench-test-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("npm run bench -- protein", () => {
  test("has its rows at small size, and classifies every record", { timeout: 120_000 }, async () => {
    const { stdout } = await run(
      "main.ts",
      "protein",
      "--small",
      "--only",
      "cpu,classify,memory",
      "--json-only",
    );
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
    await expect(run("main.ts", "protein", "--only", "gpu")).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining('got "gpu"; use: cpu, cuda, classify, memory'),
    });
  });
});

describe("the plan of a grid", () => {
  test("holds each network on each split and seed once, ProFamNet first, then seed by seed", () => {
    const runs = gridRuns([1, 2, 3]);
    const names = runs.map(({ model, split, seed }) => `${model}:${split}:${seed}`);
    expect(new Set(names).size).toBe(4 * 3 * 3);
    expect(names.slice(0, 4)).toEqual([
      "profamnet:random:1",
      "profamnet:species:1",
      "profamnet:cluster:1",
      "profamnet:random:2",
    ]);
    expect(runs.slice(0, 9).every(({ model }) => model === "profamnet")).toBe(true);
    expect(runs.slice(9, 18).every(({ seed }) => seed === 1)).toBe(true);
  });

  test("takes runs by name, and refuses what does not exist", () => {
    expect(runsNamed("cnn:*:2, larger:cluster:*", [1, 7])).toEqual([
      { model: "cnn", split: "random", seed: 2 },
      { model: "cnn", split: "species", seed: 2 },
      { model: "cnn", split: "cluster", seed: 2 },
      { model: "larger", split: "cluster", seed: 1 },
      { model: "larger", split: "cluster", seed: 7 },
    ]);
    for (const text of ["gnn:random:1", "cnn:year:1", "cnn:random:x", "cnn:random", "cnn:random:1:1"]) {
      expect(() => runsNamed(text, [1])).toThrow(`got "${text}"`);
    }
  });
});

function outcome(seed: number, macroF1: number, other: Partial<GridOutcome> = {}): GridOutcome {
  const test = { rows: 9, accuracy: macroF1, macroF1, weightedF1: macroF1, top3: 1, calibrationError: null };
  const base = { model: "profamnet", split: "random", device: "cpu", cap: 1000, seconds: 5 } as const;
  return { ...base, seed, status: "done", test, parameters: 450_953, epochs: 25, trainSeconds: 4, ...other };
}

function gridFile(date: string, runs: GridOutcome[]): GridFile {
  const machine = { cpu: "a CPU", cores: 4, memoryBytes: 1, node: "v26", date, commit: null };
  return { bench: "protein grid", machine, gpu: null, jobs: 1, seconds: 1, notRun: [], runs };
}

describe("the table of grids", () => {
  test("takes seeds together, the newest of equal runs, and leaves failures out", () => {
    const files = [
      gridFile("2026-02-02", [outcome(1, 0.96)]),
      gridFile("2026-01-01", [outcome(1, 0.5), outcome(2, 0.98), { ...outcome(3, 0.1), status: "failed" }]),
    ];
    const [head, , ...rows] = gridTable(files);
    expect(head).toContain("| macro-F1 |");
    expect(rows).toEqual([
      "| ≤ 1,000 a family | random | ProFamNet | 450,953 | 0.9700 (0.9600 to 0.9800) | 0.9700 | 0.9700 | 1.0000 | – | 25 | 4 | 1, 2 |",
    ]);
    expect(gridTable([gridFile("2026-01-01", [])])).toEqual([]);
  });

  test("keeps runs with other options of training apart, and out of the targets", () => {
    const options = ["--model=profamnet", "--seed=1", "--device=cuda", "--threads=3"];
    const files = [
      gridFile("2026-01-01", [outcome(1, 0.96), outcome(2, 0.98, { options })]),
      gridFile("2026-01-02", [
        outcome(1, 0.9, { options: [...options, "--flanks", "0.5", "--decoys", "0.125"] }),
        outcome(1, 0.8, { options: [...options, "--flanks=0.25"] }),
      ]),
    ];
    const rows = gridTable(files)
      .slice(2)
      .map((row) => row.split(" | "));
    expect(rows.map((cells) => [cells[2], cells[4], cells.at(-1)])).toEqual([
      ["ProFamNet", "0.9700 (0.9600 to 0.9800)", "1, 2 |"],
      ["ProFamNet, decoys 0.125, flanks 0.5", "0.9000", "1 |"],
      ["ProFamNet, flanks 0.25", "0.8000", "1 |"],
    ]);
    expect(gridTargets(files)[0]).toContain(": 0.9700, met");
  });

  test("says which targets are met, missed and not measured", () => {
    const runs = [outcome(1, 0.96), outcome(1, 0.8, { split: "cluster" }), outcome(1, 0.9, { model: "cnn" })];
    expect(gridTargets([gridFile("2026-01-01", runs)]).map((line) => line.split(": ")[1])).toEqual([
      "0.9600, met",
      "0.8000, missed",
      "not measured yet",
    ]);
  });
});

describe("the grid as a program", () => {
  test(
    "collects what runs come to, those that fail too, and exits 1 for these",
    { timeout: 120_000 },
    async () => {
      const source = join(folder, "families");
      await writeFamilies(source, madeRecords(1, 4, 30));
      const out = join(folder, "grid.json");
      const options = ["--min-family", "5", "--cap", "20", "--epochs", "1", "--out", out, "--jobs", "2"];
      await run("proteinGrid.ts", source, "--only", "cnn:random:1,profamnet:species:1", ...options);
      const done = JSON.parse(await readFile(out, "utf8")) as GridFile;
      expect(done.runs.map(({ model, status }) => [model, status]).sort()).toEqual([
        ["cnn", "done"],
        ["profamnet", "done"],
      ]);
      for (const { test, cap, epochs, families } of done.runs) {
        expect({ cap, epochs }).toEqual({ cap: 20, epochs: 1 });
        expect(families).toBeGreaterThan(1);
        expect(test!.macroF1).toBeGreaterThanOrEqual(0);
      }
      const missing = run("proteinGrid.ts", join(folder, "none"), "--only", "cnn:random:1", ...options);
      await expect(missing).rejects.toMatchObject({ code: 1 });
      const failed = JSON.parse(await readFile(out, "utf8")) as GridFile;
      expect(failed.runs).toMatchObject([
        { status: "failed", error: expect.stringContaining("FILE_MISSING") },
      ]);
      const late = run("proteinGrid.ts", source, ...options, "--budget-seconds", "1", "--kill-seconds", "1");
      await expect(late).rejects.toMatchObject({ code: 1 });
      const stopped = JSON.parse(await readFile(out, "utf8")) as GridFile;
      expect(stopped.runs.length + stopped.notRun.length).toBe(36);
      expect(stopped.notRun.length).toBeGreaterThan(30);
    },
  );
});
