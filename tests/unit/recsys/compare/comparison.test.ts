/** @file What a comparison trains and in which order, and what its figures come to. */
import { describe, expect, it } from "vitest";
import type { Figures } from "../../../../src/recsys/compare/comparedFigures.ts";
import { FIGURE_NAMES } from "../../../../src/recsys/compare/comparedFigures.ts";
import { comparedEntries, comparedRuns } from "../../../../src/recsys/compare/comparisonConfig.ts";
import { comparisonCsv, runsCsv } from "../../../../src/recsys/compare/comparisonCsv.ts";
import { comparisonReport } from "../../../../src/recsys/compare/comparisonReport.ts";
import { comparisonSchema, entryResults } from "../../../../src/recsys/compare/comparisonResult.ts";
import { contrastText, estimateText, verdict } from "../../../../src/recsys/compare/comparisonText.ts";
import type { RunFiles } from "../../../../src/run/readRun.ts";

const choice = (label: string, text = label) => ({ label, text });
const strategies = [choice("baseline"), choice("fae:budget=1MiB", "fae:budget=1048576")];
const models = [choice("dlrm")];
const settings = { seed: 4 };

const none = Object.fromEntries(FIGURE_NAMES.map((name) => [name, null])) as Figures;
const run = (entry: number, seed: number, figures: Partial<Figures>) => ({
  entry,
  seed,
  folder: `runs/${entry}-${seed}`,
  figures: { ...none, ...figures },
});

describe("the entries of a comparison", () => {
  const names = (request: Parameters<typeof comparedEntries>[0]) =>
    comparedEntries(request).map(({ name }) => name);

  it("are models by strategies, named by what tells them apart", () => {
    expect(names({ models, strategies })).toEqual(["baseline", "fae"]);
    expect(names({ models: [choice("lr"), choice("dlrm")], strategies: [choice("baseline")] })).toEqual([
      "lr",
      "dlrm",
    ]);
    expect(names({ models: [choice("lr"), choice("dlrm")], strategies })).toEqual([
      "lr, baseline",
      "lr, fae",
      "dlrm, baseline",
      "dlrm, fae",
    ]);
  });

  it("are called as they were asked for where two have one name", () => {
    const two = [choice("fae:budget=1MiB", "fae:budget=1048576"), choice("fae", "fae:budget=268435456")];
    expect(names({ models, strategies: two })).toEqual(["fae:budget=1MiB", "fae"]);
  });
});

describe("the order of runs", () => {
  it("is seed by seed, each beginning with another entry", () => {
    const runs = comparedRuns({ models, strategies, seeds: 3, settings });
    expect(runs.map(({ entry, seed }) => [entry, seed])).toEqual([
      [0, 4],
      [1, 4],
      [1, 5],
      [0, 5],
      [0, 6],
      [1, 6],
    ]);
    expect(runs.map(({ folder }) => folder).slice(0, 2)).toEqual([
      "runs/1-dlrm-baseline-seed4",
      "runs/2-dlrm-fae-seed4",
    ]);
  });

  it("keeps the runs of before where seeds are added", () => {
    const before = comparedRuns({ models, strategies, seeds: 2, settings });
    expect(comparedRuns({ models, strategies, seeds: 5, settings }).slice(0, before.length)).toEqual(before);
  });
});

describe("what a comparison comes to", () => {
  const entries = comparedEntries({ models, strategies });
  const found = entryResults(entries, [
    run(1, 5, { trainSeconds: 5, auc: 0.72, popularInputShare: 0.4 }),
    run(0, 4, { trainSeconds: 8, auc: 0.7 }),
    run(1, 4, { trainSeconds: 4, auc: 0.72, popularInputShare: 0.4 }),
    run(0, 5, { trainSeconds: 10, auc: 0.71 }),
  ]);

  it("pairs runs by their seeds, not by their order", () => {
    const { auc, trainSeconds } = found[1]!.against;
    expect(auc!.mean).toBeCloseTo(0.015, 12);
    expect(trainSeconds!.mean).toBeCloseTo(0.5, 12);
    expect(found[0]!.against.auc).toBeNull();
  });

  it("leaves out what a strategy does not have, and compares nothing with it", () => {
    expect(found[0]!.figures.popularInputShare).toBeNull();
    expect(found[1]!.figures.popularInputShare).toMatchObject({ mean: 0.4, low: 0.4 });
    expect(found[1]!.against.popularInputShare).toBeNull();
    expect(estimateText("popularInputShare", null)).toBe("–");
  });

  it("says in words what a difference means, by which direction is better", () => {
    expect(verdict("trainSeconds", found[1]!.against.trainSeconds)).toBe("better");
    const worse = { kind: "difference", mean: 0.01, low: 0.005, high: 0.015, isEqual: false } as const;
    expect(verdict("logLoss", { ...worse, isSignificant: true })).toBe("worse");
    expect(verdict("auc", { ...worse, isSignificant: true })).toBe("better");
    expect(verdict("auc", { ...worse, low: -1, isSignificant: false })).toBe("no significant difference");
    expect(verdict("auc", { ...worse, isEqual: true, isSignificant: false })).toBe("equal");
    expect(contrastText({ ...worse, isSignificant: true })).toBe("+0.0100 (+0.0050 to +0.0150)");
  });

  it("is written as CSV with empty fields for what is not known", () => {
    const [head, first] = runsCsv(found)
      .split("\n")
      .map((line) => line.split(","));
    expect(first![head!.indexOf("popularInputShare")]).toBe("");
    expect(first![head!.indexOf("trainSeconds")]).toBe("8");
    expect(runsCsv(found)).toContain("\nfae,dlrm,fae:budget=1048576,4,runs/1-4,4,");
    expect(comparisonCsv(found)).not.toContain("baseline,popularInputShare");
    expect(
      comparisonCsv(entryResults([{ name: 'a,"b', model: "m", strategy: "s" }], [run(0, 1, { auc: 0.5 })])),
    ).toContain('"a,""b",auc,1,0.5,,,,,,,\n');
  });

  it("is read back from its folder, also where it lacks figures that came later", () => {
    const rows = { train: 1, validation: 1, test: 1 };
    const stored = JSON.parse(JSON.stringify({ run: "r", finished: true, rows, entries: found })) as {
      entries: { figures: Record<string, unknown> }[];
    };
    expect(comparisonSchema.parse(stored).entries).toEqual(found);
    delete stored.entries[0]!.figures["auc"];
    expect(comparisonSchema.parse(stored).entries[0]!.figures.auc).toBeNull();
  });
});

describe("the report of a comparison that came to nothing yet", () => {
  it("shows what it compares", () => {
    const config = { source: { paths: ["log"] }, prepare: {}, models, strategies, seeds: 1 };
    const full = {
      ...settings,
      hot: "topk",
      optimizer: "adam",
      learningRate: 1,
      decay: "linear",
      batchSize: 8,
      epochs: 1,
      patience: 1,
      threads: 1,
      device: "cpu",
    };
    const record = { command: "recsys compare", config: { ...config, settings: full } };
    const machine = { cpu: "c", cores: 1, memoryBytes: 1 };
    const files = {
      path: "r",
      record: { ...record, machine, packages: {}, seconds: 0 },
      events: [],
      decisions: [],
      result: null,
    } as unknown as RunFiles;
    expect(comparisonReport(files)).toMatchObject({
      title: "baseline and fae compared",
      subtitle: "not finished",
    });
  });
});
