import { describe, expect, it } from "vitest";
import { h2o, keyformer, type KeyformerOptions, snapkv, tova } from "../../../../src/llm/index.ts";
import { type Drive, driveCache, keptOf, traceLogit } from "../../../support/llm/driveCache.ts";

/** Golden traces of six prompt tokens and four decoded ones, k = 4, w = 2, made by float64 NumPy scripts. */
const SIZES = { promptTokens: 6, newTokens: 4 };
const BUDGET = { count: 4 };
const RECENT = { count: 2 };

function trace(options: Partial<KeyformerOptions>): Drive {
  const policy = keyformer({ budget: BUDGET, recent: RECENT, horizon: 4, ...options });
  return driveCache(traceLogit, { ...SIZES, policy });
}

/** The scores of the prompt's six tokens: a budget of six keeps them all. */
function promptScores(options: Partial<KeyformerOptions>): number[] {
  return trace({ ...options, budget: { count: 6 } }).steps[0]![0]![0]!.scores;
}

function expectScores(drive: Drive, expected: number[][]): void {
  const actual = drive.steps.slice(1).map((layers) => layers[0]![0]!.scores);
  for (const [step, scores] of expected.entries()) expectClose(actual[step]!, scores);
}

function expectClose(actual: number[], expected: number[]): void {
  expect(actual.length).toBe(expected.length);
  for (const [at, value] of expected.entries()) expect(Math.abs(actual[at]! - value)).toBeLessThan(1e-5);
}

describe("Keyformer without noise", () => {
  it("sums the prompt's attention", () => {
    expectClose(promptScores({ noise: "none" }), [2.93526, 1.439592, 0.835825, 0.415044, 0.074428, 0.299852]);
  });

  it("keeps and scores as golden trace F1", () => {
    const drive = trace({ noise: "none" });
    expect(keptOf(drive)).toEqual([
      [0, 1, 4, 5],
      [0, 1, 5, 6],
      [0, 5, 6, 7],
      [0, 5, 7, 8],
      [0, 5, 8, 9],
    ]);
    expect(drive.steps.slice(1).map((layers) => layers[0]![0]!.attended)).toEqual([
      [0, 1, 4, 5, 6],
      [0, 1, 5, 6, 7],
      [0, 5, 6, 7, 8],
      [0, 5, 7, 8, 9],
    ]);
    expectScores(drive, [
      [2.964899, 1.457932, 1.224212, 0.023315],
      [3.047838, 1.663332, 0.248767, 0.184584],
      [3.12013, 2.374163, 0.256877, 0.072292],
      [3.288724, 2.880646, 0.179792, 0.124897],
    ]);
  });

  it("loses the token that leaves the recent ones in reference-mask mode, as golden trace F3", () => {
    const drive = trace({ noise: "none", mode: "reference-mask" });
    const visible = [
      ...drive.steps.slice(1).map((layers) => layers[0]![0]!.attended),
      [...drive.steps.at(-1)![0]![0]!.positions, 10],
    ];
    expect(visible).toEqual([
      [0, 1, 5, 6],
      [0, 1, 6, 7],
      [0, 1, 7, 8],
      [0, 1, 8, 9],
      [0, 1, 9, 10],
    ]);
  });
});

describe("Keyformer with Gumbel noise of seed 1234", () => {
  it("sums the prompt's noisy attention", () => {
    expectClose(promptScores({}), [2.917066, 1.187932, 0.487319, 0.399568, 0.524695, 0.48342]);
  });

  it("keeps and scores as golden trace F2", () => {
    const drive = trace({});
    expect(keptOf(drive)).toEqual([
      [0, 1, 4, 5],
      [0, 1, 5, 6],
      [0, 5, 6, 7],
      [0, 5, 7, 8],
      [0, 5, 8, 9],
    ]);
    expectScores(drive, [
      [3.097203, 1.205244, 1.248646, 0.03567],
      [3.129294, 1.77772, 0.29518, 0.16133],
      [3.237206, 2.56578, 0.203174, 0.03086],
      [3.6852, 2.831055, 0.062618, 0.136801],
    ]);
  });
});

it("H2O keeps and scores as golden trace F4", () => {
  const drive = driveCache(traceLogit, { ...SIZES, policy: h2o({ budget: BUDGET, recent: RECENT }) });
  expect(keptOf(drive)).toEqual(keptOf(trace({ noise: "none" })));
  expectScores(drive, [
    [2.948404, 1.446805, 1.268565, 0.009737],
    [2.994433, 1.829321, 0.216028, 0.152824],
    [3.011499, 2.76106, 0.169889, 0.017065],
    [3.100139, 3.561037, 0.053104, 0.048647],
  ]);
});

it("TOVA keeps as golden trace F5, the older of tied tokens first", () => {
  const drive = driveCache(traceLogit, { ...SIZES, policy: tova({ budget: BUDGET }) });
  expect(keptOf(drive)).toEqual([
    [1, 2, 3, 5],
    [1, 2, 5, 6],
    [1, 5, 6, 7],
    [1, 5, 6, 7],
    [1, 5, 7, 9],
  ]);
});

describe("SnapKV", () => {
  it("votes and keeps as golden trace F6", () => {
    const options = { recent: RECENT, pool: 1 };
    const all = driveCache(traceLogit, { ...SIZES, policy: snapkv({ ...options, budget: { count: 6 } }) });
    expectClose(all.steps[0]![0]![0]!.scores.slice(0, 4), [0.24837, 0.468507, 0.685141, 0.223701]);
    const drive = driveCache(traceLogit, { ...SIZES, policy: snapkv({ ...options, budget: BUDGET }) });
    expect(keptOf(drive)[0]).toEqual([1, 2, 4, 5]);
  });

  it("slides its window in decode and keeps the tokens it chose", () => {
    const policy = snapkv({ budget: BUDGET, recent: RECENT, pool: 1 });
    expect(keptOf(driveCache(traceLogit, { ...SIZES, policy })).slice(1)).toEqual([
      [1, 2, 5, 6],
      [1, 2, 6, 7],
      [1, 2, 7, 8],
      [1, 2, 8, 9],
    ]);
  });

  it("averages votes over neighbours, zeros beyond the ends included", () => {
    const policy = snapkv({ budget: { count: 6 }, recent: RECENT, pool: 3 });
    const votes = driveCache(traceLogit, { ...SIZES, policy }).steps[0]![0]![0]!.scores;
    expectClose(votes, [
      (0.24837 + 0.468507) / 3,
      (0.24837 + 0.468507 + 0.685141) / 3,
      (0.468507 + 0.685141 + 0.223701) / 3,
      (0.685141 + 0.223701) / 3,
      0,
      0,
    ]);
  });
});
