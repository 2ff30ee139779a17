/** @file Metrics against brute force, and the detectors of failed training. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { auc } from "../../../../src/run/metrics/auc.ts";
import { binaryMetrics } from "../../../../src/run/metrics/binary.ts";
import { calibrationError } from "../../../../src/run/metrics/calibration.ts";
import { binaryAccuracy, f1Scores, topKAccuracy } from "../../../../src/run/metrics/classification.ts";
import { logLossFromLogits } from "../../../../src/run/metrics/logLoss.ts";
import { DivergenceGuard } from "../../../../src/run/divergenceGuard.ts";
import { isConstantPrediction } from "../../../../src/run/metrics/constantPrediction.ts";

/** Few distinct scores, so that ties are common. */
const rows = fc.array(fc.tuple(fc.integer({ min: -6, max: 6 }), fc.integer({ min: 0, max: 1 })), {
  minLength: 1,
  maxLength: 60,
});

function pairwiseAuc(scored: [number, number][]): number {
  let wins = 0;
  let pairs = 0;
  for (const [a, ya] of scored) {
    for (const [b, yb] of scored) {
      if (ya !== 1 || yb !== 0) continue;
      pairs++;
      wins += a > b ? 1 : a === b ? 0.5 : 0;
    }
  }
  return wins / pairs;
}

describe("auc", () => {
  it("equals the share of rightly ordered pairs, ties counting half", () => {
    fc.assert(
      fc.property(rows, fc.boolean(), (scored, single) => {
        const scores = scored.map(([score]) => score);
        const value = auc(
          single ? Float32Array.from(scores) : Float64Array.from(scores),
          scored.map(([, label]) => label),
        );
        const expected = pairwiseAuc(scored);
        if (Number.isNaN(expected)) expect(value).toBeNaN();
        else expect(value).toBeCloseTo(expected, 12);
      }),
    );
  });

  it("is NaN for one class, for no rows and for a NaN score", () => {
    expect(auc(Float32Array.of(0.1, 0.2), [1, 1])).toBeNaN();
    expect(auc(Float32Array.of(0.1, 0.2), [0, 0])).toBeNaN();
    expect(auc(new Float32Array(0), [])).toBeNaN();
    expect(auc(Float32Array.of(0.1, Number.NaN, 0.3), [0, 1, 1])).toBeNaN();
  });

  it("treats −0 and 0 as a tie and orders infinities", () => {
    expect(auc(Float64Array.of(-0, 0), [1, 0])).toBe(0.5);
    expect(auc(Float64Array.of(-Infinity, Infinity), [0, 1])).toBe(1);
  });

  it("does not change the scores it is given", () => {
    const scores = Float32Array.of(3, 1, 2);
    auc(scores, [1, 0, 1]);
    expect([...scores]).toEqual([3, 1, 2]);
  });
});

describe("log loss", () => {
  it("is the same from logits as from their probabilities", () => {
    fc.assert(
      fc.property(rows, (scored) => {
        const logits = scored.map(([z]) => z);
        const labels = scored.map(([, y]) => y);
        const losses = scored.map(([z, y]) => -Math.log(1 / (1 + Math.exp(y === 1 ? -z : z))));
        const mean = losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
        expect(logLossFromLogits(logits, labels)).toBeCloseTo(mean, 10);
      }),
    );
  });

  it("stays finite and exact for sure and wrong answers", () => {
    expect(logLossFromLogits([1000, -1000], [0, 1])).toBe(1000);
    expect(logLossFromLogits([1000, -1000], [1, 0])).toBe(0);
    expect(logLossFromLogits([Number.NaN], [1])).toBeNaN();
    expect(logLossFromLogits([], [])).toBeNaN();
  });
});

describe("classification", () => {
  it("accuracy rounds one half to 0 and never counts NaN as right", () => {
    expect(binaryAccuracy([0.5, 0.5, 0.51, 0.2, Number.NaN, Number.NaN], [0, 1, 1, 0, 0, 1])).toBe(0.5);
  });

  it("F1 equals the mean of 2PR/(P + R) over the classes present", () => {
    const labelled = fc.array(fc.tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 3 })), {
      minLength: 1,
      maxLength: 40,
    });
    fc.assert(
      fc.property(labelled, (pairs) => {
        const scores: number[] = [];
        let weighted = 0;
        for (let c = 0; c < 4; c++) {
          const guessed = pairs.filter(([guess]) => guess === c).length;
          const support = pairs.filter(([, truth]) => truth === c).length;
          if (guessed + support === 0) continue;
          const hits = pairs.filter(([guess, truth]) => guess === c && truth === c).length;
          const precision = guessed === 0 ? 0 : hits / guessed;
          const recall = support === 0 ? 0 : hits / support;
          const f1 = hits === 0 ? 0 : (2 * precision * recall) / (precision + recall);
          scores.push(f1);
          weighted += (f1 * support) / pairs.length;
        }
        const found = f1Scores(
          pairs.map(([guess]) => guess),
          pairs.map(([, truth]) => truth),
          4,
        );
        expect(found.macro).toBeCloseTo(scores.reduce((sum, f1) => sum + f1, 0) / scores.length, 12);
        expect(found.weighted).toBeCloseTo(weighted, 12);
      }),
    );
  });

  it("top-k accuracy agrees with a stable sort by falling score", () => {
    const table = fc.array(
      fc.tuple(
        fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 5, maxLength: 5 }),
        fc.integer({ min: 0, max: 4 }),
      ),
      { minLength: 1, maxLength: 20 },
    );
    fc.assert(
      fc.property(table, fc.integer({ min: 1, max: 5 }), (examples, k) => {
        const right = examples.filter(([scores, truth]) =>
          scores
            .map((score, c) => ({ score, c }))
            .sort((a, b) => b.score - a.score)
            .slice(0, k)
            .some(({ c }) => c === truth),
        ).length;
        const flat = Float32Array.from(examples.flatMap(([scores]) => scores));
        const labels = examples.map(([, truth]) => truth);
        expect(topKAccuracy(flat, labels, 5, k)).toBe(right / examples.length);
      }),
    );
  });
});

describe("calibration error", () => {
  it("is 0 where the rate is as predicted, and the gap where it is not", () => {
    expect(calibrationError([0.25, 0.25, 0.25, 0.25], [1, 0, 0, 0])).toBe(0);
    expect(calibrationError([0.9, 0.9, 0.1, 0.1], [0, 0, 1, 1])).toBeCloseTo(0.9, 12);
    expect(calibrationError([1, 0], [1, 0])).toBe(0);
  });
});

describe("DivergenceGuard", () => {
  it("accepts a noisy loss that falls", () => {
    const guard = new DivergenceGuard();
    for (let step = 0; step < 2000; step++)
      guard.observe(0.45 + Math.exp(-step / 100) + 0.2 * (step % 2), step);
  });

  it("stops at the first loss that is not a finite number", () => {
    const guard = new DivergenceGuard();
    guard.observe(0.7, 1);
    expect(() => guard.observe(Number.NaN, 2)).toThrow(
      expect.objectContaining({ code: "TRAIN_LOSS_NAN", where: "step 2" }),
    );
    expect(() => guard.observe(Number.POSITIVE_INFINITY, 3)).toThrow(
      expect.objectContaining({ code: "TRAIN_LOSS_NAN" }),
    );
  });

  it("stops a loss that runs away, but not a single spike", () => {
    const guard = new DivergenceGuard();
    for (let step = 0; step < 100; step++) guard.observe(0.5, step);
    guard.observe(20, 100);
    for (let step = 101; step < 200; step++) guard.observe(0.5, step);
    const runAway = (): void => {
      for (let step = 200; step < 300; step++) guard.observe(6, step);
    };
    expect(runAway).toThrow(expect.objectContaining({ code: "TRAIN_DIVERGED" }));
  });

  it("stops a validation loss that is not finite or has run away, from the first epoch on", () => {
    const guard = new DivergenceGuard();
    guard.observeValidation(0.4, 1);
    guard.observeValidation(2.5, 2);
    expect(() => guard.observeValidation(Number.NaN, 3)).toThrow(
      expect.objectContaining({ code: "TRAIN_LOSS_NAN", where: "validation after epoch 3" }),
    );
    expect(() => new DivergenceGuard().observeValidation(1e7, 1)).toThrow(
      expect.objectContaining({ code: "TRAIN_DIVERGED" }),
    );
  });

  it("goes on from its state as if it had not stopped", () => {
    const whole = new DivergenceGuard();
    let parts = new DivergenceGuard();
    for (let step = 0; step < 100; step++) {
      for (const guard of [whole, parts]) guard.observe(1 / (1 + step), step);
      parts = new DivergenceGuard({}, JSON.parse(JSON.stringify(parts.state)) as typeof parts.state);
    }
    expect(parts.state).toEqual(whole.state);
    parts.observeValidation(0.02, 1);
    expect(() => new DivergenceGuard({ floor: 0 }, parts.state).observeValidation(0.3, 2)).toThrow(
      expect.objectContaining({ code: "TRAIN_DIVERGED" }),
    );
  });
});

describe("binaryMetrics", () => {
  it("tells a collapsed model from a working one", () => {
    const labels = [0, 1, 0, 1];
    const collapsed = binaryMetrics(Float32Array.of(900, 950, 1000, 2000), labels);
    expect(collapsed.constant).toBe(true);
    expect(collapsed.auc).toBe(0.75);
    const working = binaryMetrics(Float32Array.of(-1, 2, -3, 1), labels);
    expect(working).toMatchObject({ constant: false, auc: 1, accuracy: 1, rows: 4 });
    expect(isConstantPrediction([0.3])).toBe(false);
  });
});
