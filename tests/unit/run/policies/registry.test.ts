import { describe, expect, it } from "vitest";
import { z } from "zod";
import { choice, shareOrCount, wholeNumber } from "../../../../src/base/optionSchemas.ts";
import { describeOptions } from "../../../../src/run/policies/describe.ts";
import { definePolicy } from "../../../../src/run/policies/policy.ts";
import { readPolicyText, splitPolicyList, writePolicyText } from "../../../../src/run/policies/policyText.ts";
import { PolicyRegistry } from "../../../../src/run/policies/registry.ts";

const options = z.object({
  budget: shareOrCount().default({ share: 0.5 }).describe("Entries that stay."),
  sinks: wholeNumber({ min: 0 }).default(0).describe("First tokens that always stay."),
  noise: choice(["gumbel", "none"]).default("gumbel").describe("Noise of scores."),
});
const keeps = definePolicy({
  kind: "kv.evict",
  name: "keeps",
  summary: "Keeps.",
  source: "ours",
  options,
  create: ({ budget, sinks, noise }, horizon: number) => ({ budget, sinks, noise, horizon }),
});
const plain = definePolicy({
  kind: "kv.evict",
  name: "plain",
  summary: "Has no options.",
  source: "ours",
  options: z.object({}),
  create: (_: object, horizon: number) => ({
    budget: { count: 1 },
    sinks: 0,
    noise: "none" as const,
    horizon,
  }),
});
const registry = new PolicyRegistry("kv.evict", [keeps, plain]);

const failure = (work: () => unknown): { code: string; message: string; fix: string; where: string } => {
  try {
    work();
  } catch (error) {
    return error as ReturnType<typeof failure>;
  }
  throw new Error("nothing was thrown");
};

describe("policy text", () => {
  it("reads a name alone and options with parentheses", () => {
    expect(readPolicyText("full", "--kv")).toEqual({ name: "full", options: {} });
    expect(readPolicyText("a:b=1,c=(d:e=2,f=(g)),h=50%", "--kv")).toEqual({
      name: "a",
      options: { b: "1", c: "d:e=2,f=(g)", h: "50%" },
    });
  });

  it("splits a list at the commas between policies", () => {
    expect(splitPolicyList("full, keeps:noise=none,sinks=4,plain,keeps:sinks=(a,b=1)", "--kv")).toEqual([
      "full",
      "keeps:noise=none,sinks=4",
      "plain",
      "keeps:sinks=(a,b=1)",
    ]);
    expect(splitPolicyList(" , ", "--kv")).toEqual([]);
  });

  it("reads back what it writes", () => {
    const written = writePolicyText("a", { b: 1, c: "d:e=2,f=3", left: undefined });
    expect(written).toBe("a:b=1,c=(d:e=2,f=3)");
    expect(readPolicyText(written, "")).toEqual({ name: "a", options: { b: "1", c: "d:e=2,f=3" } });
  });

  it.each(["", ":a=1", "a:", "a:b", "a:b=1,", "a:b=1,b=2", "a:b=(1", "a:b=1)", "a b"])(
    "refuses %j",
    (text) => {
      const { code, where, message } = failure(() => readPolicyText(text, "--kv"));
      expect(code).toBe("POLICY_TEXT");
      expect(where).toBe("--kv");
      expect(message).toMatch(new RegExp(`got "${text.replace(/[()]/g, "\\$&")}"$`));
    },
  );
});

describe("a registry", () => {
  it("fills defaults in and reads values from text and from JSON alike", () => {
    expect(registry.parse("keeps", "--kv").create(7)).toEqual({
      budget: { share: 0.5 },
      sinks: 0,
      noise: "gumbel",
      horizon: 7,
    });
    const made = { budget: { count: 1024 }, sinks: 4, noise: "none", horizon: 1 };
    expect(registry.parse("keeps:budget=1024,sinks=4,noise=none", "--kv").create(1)).toEqual(made);
    expect(
      registry.parse({ name: "keeps", budget: 1024, sinks: 4, noise: "none" }, "file").create(1),
    ).toEqual(made);
  });

  it("names the nearest policy, the nearest option, and the value that is wrong", () => {
    expect(failure(() => registry.parse("keep", "--kv"))).toMatchObject({
      code: "POLICY_UNKNOWN",
      fix: "Did you mean keeps? Use one of keeps, plain.",
    });
    expect(failure(() => registry.parse("keeps:budgt=1", "--kv"))).toMatchObject({
      code: "POLICY_OPTION",
      fix: "Did you mean budget? Its options are budget, sinks, noise.",
    });
    expect(failure(() => registry.parse("plain:budget=1", "--kv")).fix).toMatch(/no options/);
    expect(failure(() => registry.parse("keeps:sinks=1.5", "--kv"))).toMatchObject({
      code: "POLICY_OPTION",
      where: "--kv keeps:sinks",
      message: expect.stringMatching(/whole number.*got "1.5"$/i) as string,
    });
    expect(failure(() => registry.parse("keeps:budget=150%", "--kv")).code).toBe("POLICY_OPTION");
  });

  it("describes its options", () => {
    expect(describeOptions(options)).toEqual([
      { name: "budget", meaning: "Entries that stay.", default: "50%", takes: "percentage | integer" },
      { name: "sinks", meaning: "First tokens that always stay.", default: "0", takes: "integer" },
      { name: "noise", meaning: "Noise of scores.", default: "gumbel", takes: "gumbel | none" },
    ]);
  });
});
