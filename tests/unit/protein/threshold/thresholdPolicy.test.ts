/** @file Policies of the threshold below which a family is unknown, and the decoys that they see. */
import { describe, expect, test } from "vitest";
import { Rng } from "../../../../src/base/rng.ts";
import { decoysOf } from "../../../../src/protein/threshold/decoys.ts";
import {
  highestProbabilities,
  measureThreshold,
  thresholdDecision,
  thresholdPolicies,
  type Threshold,
} from "../../../../src/protein/threshold/thresholdPolicy.ts";
import { randomResidues, sequenceSet } from "../../../support/protein/sequences.ts";

const rng = new Rng(1);

/** What a policy chooses for probabilities `[N, classes]`. */
function choose(policy: string, known: Float32Array, decoys: Float32Array, classes: number): Threshold {
  const statistics = {
    known: highestProbabilities(known, classes),
    decoys: highestProbabilities(decoys, classes),
  };
  return measureThreshold(thresholdPolicies.parse(policy, "--threshold").create()(statistics), statistics);
}

const calibrated = (known: Float32Array, decoys: Float32Array, classes: number) =>
  choose("calibrated", known, decoys, classes);

describe("the calibrated threshold", () => {
  /** Probabilities of two families, the larger one from `least` to `most`. */
  const between = (least: number, most: number): Float32Array =>
    Float32Array.from({ length: 1000 }, () => least + (most - least) * rng.uniform()).reduce(
      (all, p, row) => {
        all.set([1 - p, p], 2 * row);
        return all;
      },
      new Float32Array(2000),
    );

  test("lets 95 % of the known sequences pass where decoys are as probable as they", () => {
    const found = calibrated(between(0.5, 1), between(0.5, 1), 2);
    expect(found.passing).toBe(0.95);
    expect(found.flagged).toBeCloseTo(0.05, 1);
  });

  test("is what flags 99 % of the decoys where that lets more pass, but never below a half", () => {
    const apart = calibrated(between(0.95, 1), between(0.5, 0.9), 2);
    expect(apart.passing).toBe(1);
    expect(apart.flagged).toBe(0.99);
    expect(apart.threshold).toBeCloseTo(0.896, 2);
    const low = calibrated(between(0.95, 1), new Float32Array(3000).fill(1 / 3), 3);
    expect(low).toEqual({ threshold: 0.5, passing: 1, flagged: 1 });
    const unsure = Float32Array.from({ length: 4000 }, (_, i) => [0.3, 0.3, 0.2, 0.2][i % 4]!);
    expect(calibrated(unsure, unsure, 4).threshold).toBe(Math.fround(0.3));
  });

  test("goes by the shares that it is given", () => {
    const [known, decoys] = [between(0.5, 1), between(0.5, 1)];
    expect(choose("calibrated:passing=75%", known, decoys, 2).passing).toBe(0.75);
    const flagging = choose("calibrated:passing=0,flagged=0.5", known, decoys, 2);
    expect(flagging.flagged).toBe(0.5);
    const high = choose("calibrated:least=0.7", between(0.95, 1), new Float32Array(3000).fill(1 / 3), 3);
    expect(high.threshold).toBe(0.7);
  });

  test("of no sequences is 0, which everything passes", () => {
    const none = new Float32Array(0);
    expect(calibrated(none, none, 2)).toEqual({ threshold: 0, passing: 0, flagged: 0 });
  });
});

test("a fixed threshold is what it says", () => {
  const known = Float32Array.of(0.2, 0.8, 0.4, 0.6);
  expect(choose("fixed", known, known, 2)).toEqual({ threshold: 0.5, passing: 1, flagged: 0 });
  expect(choose("fixed:probability=0.7", known, known, 2)).toEqual({
    threshold: 0.7,
    passing: 0.5,
    flagged: 0.5,
  });
});

test("options that are no shares, and unknown policies, are refused", () => {
  const parse = (policy: string) => () => thresholdPolicies.parse(policy, "--threshold");
  expect(parse("calibrated:passing=1.5")).toThrowError(expect.objectContaining({ code: "POLICY_OPTION" }));
  expect(parse("fixed:at=0.5")).toThrowError(expect.objectContaining({ code: "POLICY_OPTION" }));
  expect(parse("calibratd")).toThrowError(
    expect.objectContaining({ code: "POLICY_UNKNOWN", fix: expect.stringContaining("calibrated") }),
  );
});

test("a decision says what was seen and chosen", () => {
  const statistics = { known: Float32Array.of(0.6, 0.9), decoys: Float32Array.of(0.3) };
  const decision = thresholdDecision("fixed", 12, statistics, measureThreshold(0.5, statistics));
  expect(decision).toEqual({
    event: "decision",
    policy: "fixed",
    kind: "protein.threshold",
    step: 12,
    subject: "validation",
    saw: { sequences: 2, decoys: 1 },
    chose: { threshold: 0.5, passing: 1, flagged: 1 },
  });
});

test("decoys have the residues of their sequences, in another order", () => {
  const residues = Array.from({ length: 6 }, (_, i) => randomResidues(rng, 20 + 10 * i));
  const set = sequenceSet(residues.map((text, label) => ({ residues: text, label: label % 2 })));
  const rows = Uint32Array.of(5, 0, 3);
  const decoys = decoysOf(set, rows, 40);
  expect(decoys.count).toBe(3);
  expect([...decoys.offsets]).toEqual([0, 40, 60, 100]);
  rows.forEach((row, i) => {
    const from = set.offsets[row]!;
    const own = [...set.ids.subarray(from, Math.min(set.offsets[row + 1]!, from + 40))];
    const decoy = [...decoys.ids.subarray(decoys.offsets[i]!, decoys.offsets[i + 1]!)];
    expect(decoy).not.toEqual(own);
    if (i === 1) expect(decoy).toEqual(own.toReversed());
    else expect(decoy.toSorted()).toEqual(own.toSorted());
  });
});
