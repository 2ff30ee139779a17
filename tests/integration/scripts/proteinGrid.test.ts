/** @file The recipe of protein runs, the file that gathers them, and how their table reads. */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { GridFile, GridOutcome } from "../../../scripts/proteinGridFile.ts";
import { gridTable, gridTargets } from "../../../scripts/proteinGridTable.ts";
import { madeRecords, writeFamilies } from "../../support/protein/madeFamilies.ts";

const root = join(import.meta.dirname, "../../..");
const run = promisify(execFile);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pareto-grid-test-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function outcome(seed: number, macroF1: number, other: Partial<GridOutcome> = {}): GridOutcome {
  const test = { rows: 9, accuracy: macroF1, macroF1, weightedF1: macroF1, top3: 1, calibrationError: null };
  const base = { model: "profamnet", split: "random", device: "cpu", cap: 1000, seconds: 5 } as const;
  return { ...base, seed, status: "done", test, parameters: 450_953, epochs: 25, trainSeconds: 4, ...other };
}

function gridFile(date: string, runs: GridOutcome[]): GridFile {
  const machine = { cpu: "a CPU", cores: 4, memoryBytes: 1, node: "v26", date, commit: null };
  return { bench: "protein grid", machine, gpu: null, runs };
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

describe("recipes/hf73.sh", () => {
  const env = (models: string) => ({
    ...process.env,
    MODELS: models,
    SPLITS: "random species",
    SEEDS: "1",
    CAP: "20",
    MINIMUM: "5",
    JOBS: "2",
    PARETO: `${process.execPath} ${join(root, "src/cli/main.ts")}`,
  });
  const grid = async (runs: string) => {
    const out = join(folder, "grid.json");
    const { stdout } = await run(process.execPath, [
      join(root, "scripts/proteinGrid.ts"),
      runs,
      "--out",
      out,
    ]);
    return { stdout, file: JSON.parse(await readFile(out, "utf8")) as GridFile };
  };

  test("trains every run once, and its runs become a file and a table", { timeout: 240_000 }, async () => {
    const source = join(folder, "families");
    const runs = join(folder, "runs");
    await writeFamilies(source, madeRecords(1, 4, 30));
    const recipe = join(root, "recipes/hf73.sh");
    const options = [source, runs, "--epochs", "1", "--flanks", "0.25"];
    const first = await run(recipe, options, { env: env("cnn nearest-larger") });
    expect(first.stdout.trim().split("\n").sort()).toEqual([
      "cnn-random-1",
      "cnn-species-1",
      "nearest-larger-random-1",
      "nearest-larger-species-1",
    ]);
    const again = await run(recipe, options, { env: env("cnn profamnet") });
    expect(again.stdout.trim().split("\n")).toEqual(["profamnet-random-1", "profamnet-species-1"]);
    await writeFile(join(runs, "profamnet-species-1", "run.json"), "{}");
    const { stdout, file } = await grid(runs);
    expect(stdout).toContain("not done: profamnet-species-1");
    expect(stdout).toMatch(/\| ≤ 20 a family \| random \| CNN alone, flanks 0\.25 \|/);
    expect(file.runs.map(({ model, split }) => `${model} ${split}`).sort()).toEqual([
      "cnn random",
      "cnn species",
      "nearest-larger random",
      "nearest-larger species",
      "profamnet random",
    ]);
    for (const { test, cap, families, model, epochs } of file.runs) {
      expect(cap).toBe(20);
      expect(families).toBeGreaterThan(1);
      expect(test!.macroF1).toBeGreaterThanOrEqual(0);
      if (model === "nearest-larger") expect(test!.calibrationError).toBeNull();
      else expect(epochs).toBe(1);
    }
    // The table of the documentation reads the same file.
    expect(gridTable([file]).slice(2)).toHaveLength(5);
  });

  test("goes on after a run that fails, and then fails itself", { timeout: 120_000 }, async () => {
    const failed = run(join(root, "recipes/hf73.sh"), [join(folder, "none"), join(folder, "failed")], {
      env: env("nearest-larger"),
    });
    await expect(failed).rejects.toMatchObject({
      code: 1,
      stdout: "nearest-larger-random-1\nnearest-larger-species-1\n",
      stderr: expect.stringContaining("FILE_MISSING"),
    });
  });
});
