/** @file Means with intervals, and paired differences, against values worked out by hand. */
import { describe, expect, it } from "vitest";
import { meanInterval, pairedContrast } from "../../../../src/run/metrics/interval.ts";

describe("a mean with its interval", () => {
  it("is that of Student's t", () => {
    // Of 1, 2, 3: mean 2, standard error 1/√3, t(0.975, 2) = 4.30265.
    const { mean, low, high } = meanInterval([1, 2, 3])!;
    expect(mean).toBe(2);
    expect(low).toBeCloseTo(2 - 4.30265 / Math.sqrt(3), 4);
    expect(high).toBeCloseTo(2 + 4.30265 / Math.sqrt(3), 4);
  });

  it("has no ends with one measurement, and is nothing without any", () => {
    expect(meanInterval([7])).toEqual({ mean: 7, low: null, high: null });
    expect(meanInterval([])).toBeNull();
  });
});

describe("paired measurements", () => {
  const pairs = (differences: number[]) => differences.map((d, i) => [10 * i, 10 * i + d] as const);

  it("differ significantly where the interval leaves out 0, however far the pairs lie apart", () => {
    expect(pairedContrast("difference", pairs([1, 1.1, 0.9]))).toMatchObject({
      isSignificant: true,
      isEqual: false,
    });
    expect(pairedContrast("difference", pairs([1, -1, 0.5]))).toMatchObject({ isSignificant: false });
  });

  it("say nothing of one pair, and that equal ones are equal", () => {
    expect(pairedContrast("difference", pairs([1]))).toMatchObject({ mean: 1, isSignificant: null });
    const same = pairedContrast("difference", pairs([0, 0, 0]));
    expect(same).toMatchObject({ mean: 0, low: 0, high: 0, isEqual: true, isSignificant: false });
    expect(pairedContrast("difference", [])).toBeNull();
  });

  it("are compared by the geometric mean of their ratios", () => {
    const found = pairedContrast("ratio", [
      [1, 2],
      [10, 5],
    ])!;
    expect(found.mean).toBeCloseTo(1, 12);
    expect(found.low! * found.high!).toBeCloseTo(1, 9);
    expect(found.isSignificant).toBe(false);
    expect(pairedContrast("ratio", [[3, 6]])).toMatchObject({ kind: "ratio", low: null });
    expect(pairedContrast("ratio", [[0, 6]])).toBeNull();
  });
});
