/** @file `pareto policies`: every policy with its options, their defaults, and where it is published. */
import { POLICY_KINDS } from "../../run/policies/policy.ts";
import { choice } from "../../base/optionSchemas.ts";
import { defineCommand } from "../command.ts";
import { operand } from "../options/spec.ts";
import { formatTable } from "../output.ts";
import { LISTED_KINDS, listPolicies, type ListedPolicy } from "../policyList.ts";

/** The command. */
export const command = defineCommand({
  summary:
    "List every policy: what it decides, its options with their defaults, and where it is published. A policy is written as its name, or with options behind a colon: NAME:KEY=VALUE,KEY=VALUE.",
  operands: {
    kind: operand("kind", choice(LISTED_KINDS), {
      meaning: `Kind of policies to list: ${LISTED_KINDS.join(", ")}`,
      defaultText: "all",
    }),
  },
  options: {},
  async run(out, { values: { kind } }) {
    const policies = await listPolicies(kind);
    const kinds = LISTED_KINDS.filter((each) => policies.some((policy) => policy.kind === each));
    const sections = kinds.map((each) => {
      const listed = policies.filter((policy) => policy.kind === each).map(textOf);
      return [`${each}: ${POLICY_KINDS[each]}`, ...listed].join("\n\n");
    });
    out.result(sections.join("\n\n\n"));
    out.json({ event: "done", policies });
  },
});

function textOf({ name, summary, source, options }: ListedPolicy): string {
  const head = `${name}: ${summary}\n  Source: ${source}.`;
  if (options.length === 0) return head;
  const rows = options.map(({ name: key, takes, default: value, meaning }) => [
    key,
    takes,
    value ?? "",
    meaning,
  ]);
  const table = formatTable(["option", "takes", "default", "meaning"], rows, [
    "left",
    "left",
    "left",
    "left",
  ]);
  return `${head}\n${table.replaceAll(/^/gm, "  ")}`;
}
