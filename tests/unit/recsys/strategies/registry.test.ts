/** @file Strategies and their policies by name. */
import { describe, expect, test } from "vitest";
import { hotPolicies } from "../../../../src/recsys/strategies/fae/hotPolicies.ts";
import { shuffleRatePolicies } from "../../../../src/recsys/strategies/fae/shuffleRate.ts";
import { parseStrategy, strategyPolicies } from "../../../../src/recsys/strategies/registry.ts";
import { describeOptions } from "../../../../src/run/policies/describe.ts";

describe("the registry of strategies", () => {
  test("knows which strategies need all rows on the host", () => {
    expect(parseStrategy("baseline")).toMatchObject({ name: "baseline", needsHostRows: false });
    expect(parseStrategy("fae:budget=1MiB")).toMatchObject({ name: "fae", needsHostRows: true });
  });

  test("reads shares and sizes, and writes texts that mean the same as one", () => {
    const full = "fae:budget=1048576,sample=0.05,shuffle=fixed:rate=10,order=cold-first";
    expect(strategyPolicies.fullText("fae:budget=1MiB,sample=5%,shuffle=fixed:rate=10", "test")).toBe(full);
    expect(strategyPolicies.fullText(full, "test")).toBe(full);
    expect(strategyPolicies.fullText("fae:shuffle=(adaptive:start=20,patience=2)", "test")).toBe(
      "fae:budget=268435456,sample=0.05,shuffle=(adaptive:start=20,patience=2),order=cold-first",
    );
  });

  test.each([
    ["faee", "POLICY_UNKNOWN"],
    ["fae:budget=none", "POLICY_OPTION"],
    ["fae:sample=0", "POLICY_OPTION"],
    ["fae:sample=101%", "POLICY_OPTION"],
    ["fae:shuffle=sometimes", "POLICY_UNKNOWN"],
    ["fae:shuffle=adaptive:start=0.5", "POLICY_OPTION"],
    ["baseline:budget=1MiB", "POLICY_OPTION"],
  ])("refuses %s", (text, code) => {
    expect(() => parseStrategy(text)).toThrow(expect.objectContaining({ code }));
  });

  test("describes every option of every policy", () => {
    for (const { definitions } of [strategyPolicies, hotPolicies, shuffleRatePolicies]) {
      for (const { summary, source, options } of definitions as readonly (typeof definitions)[number][]) {
        expect(summary).toMatch(/^[A-Z].*\.$/);
        expect(source).not.toBe("");
        for (const { meaning } of describeOptions(options)) expect(meaning).toMatch(/^[A-Z].*\.$/);
      }
    }
  });
});
