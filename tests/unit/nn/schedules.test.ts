/** @file Learning rates over training. */
import { describe, expect, test } from "vitest";
import { learningRateAt, polynomialDecay, type LearningRateSchedule } from "../../../src/nn/schedules.ts";

const rates = (schedule: LearningRateSchedule, steps: number, reductions = 0): number[] =>
  Array.from({ length: steps }, (_, i) =>
    learningRateAt(schedule, { step: i + 1, share: (i + 1) / steps, reductions }),
  );

describe("a learning rate", () => {
  test("stays constant", () => {
    expect(rates({ kind: "constant", base: 0.1 }, 3)).toEqual([0.1, 0.1, 0.1]);
  });

  test("falls in a straight line, by whole steps", () => {
    const decay = { base: 0.1, warmupSteps: 0, decayStart: 0, decaySteps: 7, power: 1 };
    const steps = Array.from({ length: 9 }, (_, i) => i + 1);
    const linear = steps.map((step) =>
      learningRateAt(
        { kind: "linear", base: 0.1, steps: 7 },
        { step, share: Math.min(1, step / 7), reductions: 0 },
      ),
    );
    // To the bit: runs are compared so.
    expect(linear).toEqual(steps.map((step) => polynomialDecay(decay, step)));
    expect(linear[0]).toBeCloseTo(0.1 * (6 / 7), 12);
  });

  test("falls faster where the clock is ahead", () => {
    const linear = { kind: "linear", base: 0.1, steps: 100 } as const;
    expect(learningRateAt(linear, { step: 10, share: 0.75, reductions: 0 })).toBeCloseTo(0.025, 12);
  });

  test("rises, then falls along half a cosine to its last share", () => {
    const found = rates({ kind: "cosine", base: 1, warmupSteps: 10, last: 0.1 }, 100);
    expect(found[0]).toBeCloseTo(0.1, 3);
    expect(Math.max(...found)).toBe(found[9]);
    expect(found[49]).toBeCloseTo(0.55, 12);
    expect(found[99]).toBeCloseTo(0.1, 12);
  });

  test("is lowered at each plateau", () => {
    const plateau = { kind: "plateau", base: 0.08, factor: 0.5, patience: 2 } as const;
    expect(rates(plateau, 1, 0)).toEqual([0.08]);
    expect(rates(plateau, 1, 3)).toEqual([0.01]);
  });
});
