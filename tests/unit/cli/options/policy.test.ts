import { describe, expect, it } from "vitest";
import { policyText, policyTextList } from "../../../../src/cli/options/policy.ts";

describe("a policy's option", () => {
  it("takes the text as it is, and writes an object as text", () => {
    expect(policyText.parse("keyformer:budget=50%")).toBe("keyformer:budget=50%");
    expect(policyText.parse({ name: "keyformer", budget: "50%", sinks: 4 })).toBe(
      "keyformer:budget=50%,sinks=4",
    );
    expect(policyText.safeParse({ budget: "50%" }).success).toBe(false);
  });

  it("takes several between commas, or an array of either form", () => {
    const list = policyTextList("--kv");
    expect(list.parse("window,h2o:budget=6,recent=2")).toEqual(["window", "h2o:budget=6,recent=2"]);
    expect(list.parse(["window", { name: "h2o", recent: 2 }])).toEqual(["window", "h2o:recent=2"]);
  });
});
