/** @file What tables of quality say of figures that are known. */
import { describe, expect, test } from "vitest";
import type { QualityPoint, QualityResult } from "../../../bench/llmQuality/qualityFile.ts";
import {
  ablationTable,
  curveTable,
  findingsTable,
  storyTable,
} from "../../../bench/llmQuality/qualityTables.ts";
import { repetition } from "../../../bench/llmQuality/stories.ts";
import { DEFAULT_VARIANT, variantArms } from "../../../bench/llmQuality/variants.ts";

const interval = (mean: number, half = 0.02) => ({ mean, low: mean - half, high: mean + half });
const point = (policy: string, budget: number | null, mean: number, fromDefault?: number): QualityPoint => ({
  policy,
  budget,
  ...interval(mean),
  tokens: mean,
  difference: interval(mean - 0.98),
  seeds: 1,
  byDepth: [],
  kvBytes: 0,
  ...(fromDefault !== undefined && { fromDefault: interval(fromDefault) }),
});

const curves: QualityResult = {
  model: "recall-rotary",
  task: "recall",
  protocol: "after",
  tokens: 1024,
  items: 100,
  seconds: 1,
  arms: [
    point("full", null, 0.98),
    point("h2o", 0.5, 0.6),
    point("h2o", 0.1, 0.25),
    point("random", 0.1, 0.1),
    point("random", 0.5, 0.5),
  ],
};

describe("tables of quality", () => {
  test("have a row a policy and a column a budget, rising", () => {
    expect(curveTable(curves)).toEqual([
      "**recall-rotary**, recall, asked after the prompt, texts of 1024 tokens. 100 texts; full cache 98.0 (96–100) % right.",
      "",
      "| % right | 10 % | 50 % |",
      "| --- | ---: | ---: |",
      "| h2o | 25.0 (23–27) | 60.0 (58–62) |",
      "| random | 10.0 (8–12) | 50.0 (48–52) |",
    ]);
  });

  test("give likelihoods as nats above the full cache", () => {
    const table = curveTable({ ...curves, task: "text", protocol: null });
    expect(table.at(-1)).toBe("| random | −0.880 (−0.900 to −0.860) | −0.480 (−0.500 to −0.460) |");
  });

  test("say which of the paper's findings are seen, whichever way is good", () => {
    const arms = [
      point("full", null, 0.98),
      ...variantArms([0.2])
        .slice(1)
        .map(({ policy }) =>
          point(policy, 0.2, 0.5, policy === "noise none" ? 0.1 : policy === "new positions" ? -0.1 : 0),
        ),
    ];
    const recall = { ...curves, arms };
    const row = (table: string[], name: string) => table.find((line) => line.startsWith(`| ${name}`));
    const table = findingsTable([recall, { ...recall, task: "text" }]);
    expect(table[0]).toBe("| the paper says | recall, 20 % | text, 20 % |");
    expect(row(table, "without noise")).toBe(
      "| without noise it is worse | better: +10.0 (+8.0 to +12.0) | worse: +0.100 (+0.080 to +0.120) |",
    );
    expect(row(table, "with new positions")).toContain("| worse: −10.0 (−12.0 to −8.0) | better:");
    expect(row(table, "with scores shared")).toContain("| no difference seen: 0.0 (−2.0 to +2.0) |");
    const own = row(ablationTable(recall), DEFAULT_VARIANT);
    expect(own).toBe(`| ${DEFAULT_VARIANT} | 50.0 (48–52) |  |`);
  });

  test("list where stories part, seed by seed", () => {
    const result = (seed: number, firstDifference: number | null) => ({
      policy: "keyformer",
      seed,
      firstDifference,
      negativeLogLikelihood: 0.5 + seed,
      repetition: 0.25,
    });
    const table = storyTable({
      promptTokens: 64,
      newTokens: 200,
      budget: 0.5,
      results: [result(0, 7), result(1, null)],
    });
    expect(table.at(-1)).toBe("| keyformer | 7, never | 1.000 | 25 % |");
  });
});

test("repetition is the share of runs of four that came before", () => {
  expect(repetition([1, 2, 3, 4, 5, 6])).toBe(0);
  expect(repetition([1, 2, 3, 4, 1, 2, 3, 4])).toBeCloseTo(1 / 5, 12);
  expect(repetition([7, 7, 7, 7, 7])).toBe(0.5);
});
