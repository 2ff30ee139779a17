import { describe, expect, it } from "vitest";
import { LISTED_KINDS, listPolicies } from "../../../src/cli/policyList.ts";

describe("the list of policies", () => {
  it("states of every policy what it does, where it is published, and each option's meaning and default", async () => {
    const policies = await listPolicies();
    expect(new Set(policies.map(({ kind }) => kind))).toEqual(new Set(LISTED_KINDS));
    for (const { kind, name, summary, source, options } of policies) {
      const where = `${kind} ${name}`;
      expect(name, where).toMatch(/^[a-z0-9][a-z0-9-]*$/);
      expect(summary, where).toMatch(/^[A-Z].*\.$/);
      expect(source, where).toMatch(/\S/);
      for (const option of options) {
        expect(option.meaning, `${where} ${option.name}`).toMatch(/^[A-Z].*\.$/);
        expect(option.takes, `${where} ${option.name}`).toMatch(/\S/);
      }
    }
    expect(new Set(policies.map(({ kind, name }) => `${kind} ${name}`)).size).toBe(policies.length);
  });

  it("can be that of one kind", async () => {
    const policies = await listPolicies("protein.threshold");
    expect(policies.map(({ name }) => name)).toEqual(["calibrated", "fixed"]);
    expect(policies[0]!.options[0]).toMatchObject({ name: "passing", default: "0.95" });
  });
});
