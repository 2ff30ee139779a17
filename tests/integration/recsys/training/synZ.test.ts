/** @file Training learns what was planted in syn-Z, as well under FAE as without it, and says when it does not. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RunEvent } from "../../../../src/run/events.ts";
import { run } from "../../../support/recsys/clickRuns.ts";
import { synZData, synZFae, synZSettings, type SynZData } from "../../../support/recsys/synZRuns.ts";

let data: SynZData;
beforeAll(async () => {
  data = await synZData({ train: 600_000, validation: 50_000, seed: 3 });
}, 120_000);
afterAll(() => data[Symbol.asyncDispose]());

test("two epochs of plain SGD learn the clicks", { timeout: 120_000 }, async () => {
  const settings = { ...synZSettings, learningRate: 1, decay: "constant", seed: 3 } as const;
  const { validation } = await run(data, { settings, name: "learns" });
  const { auc, logLoss } = validation.at(-1)!;
  expect(auc).toBeGreaterThanOrEqual(0.7);
  expect(auc).toBeLessThan(data.bayesAuc);
  // Below the entropy of the click rate, about 0.30, which a constant answer would have.
  expect(logLoss).toBeLessThan(0.57);
});

test("a rate of a million is found out, not reported as a result", { timeout: 120_000 }, async () => {
  const settings = { ...synZSettings, learningRate: 1e6, decay: "constant", epochs: 1 } as const;
  const notices: string[] = [];
  const onEvent = (event: RunEvent): void => {
    if (event.event === "notice") notices.push(event.code);
  };
  const code = await run(data, { settings, name: "diverges", onEvent }).then(
    () => notices.find((notice) => notice === "TRAIN_CONSTANT"),
    (error: { code: string }) => error.code,
  );
  expect(["TRAIN_LOSS_NAN", "TRAIN_DIVERGED", "TRAIN_CONSTANT"]).toContain(code);
});

describe("FAE's accuracy", () => {
  test("is the baseline's at rates 100 and 10 and at an adaptive one", { timeout: 240_000 }, async () => {
    const settings = { ...synZSettings, learningRate: 0.6, epochs: 3, seed: 3 } as const;
    const quality = async (name: string, changes: Partial<typeof synZSettings>) => {
      const { validation, hot } = await run(data, { settings: { ...settings, ...changes }, name });
      return { ...validation.at(-1)!, inputShare: hot?.inputShare ?? 0 };
    };
    const baseline = await quality("baseline", {});
    expect(baseline.auc).toBeGreaterThan(0.7);
    for (const [name, shuffle] of [
      ["R(100)", "fixed:rate=100"],
      ["R(10)", "fixed:rate=10"],
      ["adaptive", "adaptive"],
    ] as const) {
      const fae = await quality(name, { strategy: synZFae(shuffle) });
      expect(fae.inputShare, name).toBeGreaterThan(0.3);
      expect(fae.inputShare, name).toBeLessThan(0.7);
      // The bounds for a single seed; bench/recsys/faeParity.ts judges the mean of three.
      expect(Math.abs(fae.auc - baseline.auc), `${name} AUC ${fae.auc}`).toBeLessThanOrEqual(0.004);
      expect(Math.abs(fae.logLoss - baseline.logLoss), `${name} ${fae.logLoss}`).toBeLessThanOrEqual(0.002);
    }
  });
});
