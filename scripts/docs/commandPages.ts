/** @file The pages of the documentation that are made from the code: every command, and every policy. */
import type { AnyCommand } from "../../src/cli/command.ts";
import { allCommands } from "../../src/cli/commandTree.ts";
import { commonOptions } from "../../src/cli/options/common.ts";
import { optionText, syntax } from "../../src/cli/options/spec.ts";
import { LISTED_KINDS, listPolicies, type ListedPolicy } from "../../src/cli/policyList.ts";
import { POLICY_KINDS } from "../../src/run/policies/policy.ts";

const CLI_INTRO = `# Command line

Made from the commands' own options by \`node scripts/docs.ts\`. In a checkout a command runs as \`npm run -s pareto -- recsys train …\`, once installed as \`npx pareto recsys train …\`.

Every option can stand in a JSON file too, by its name in camelCase, and so can operands: \`pareto recsys train --config run.json\` with \`{ "source": ["clicks.parquet"], "label": "y", "batchSize": 512 }\`. What the command line says wins over the file, the file over the defaults. \`--config-schema\` prints the file's JSON Schema, for editors that look for \`$schema\`.

A failure ends with a code, where it happened, the value received and a fix. Exit status: 0 done, 2 wrong input or options, 130 stopped by Ctrl-C or SIGTERM, 1 anything else. \`NO_COLOR\` is honoured.
`;

function commandPage(name: string, { summary, operands, options }: AnyCommand): string {
  const usage = [name, ...Object.entries(operands).map(([key, spec]) => syntax(key, spec)), "[options]"];
  const rows = Object.entries({ ...operands, ...options, ...commonOptions }).map(([key, spec]) => {
    const meaning = optionText(spec).replaceAll("|", "\\|").replaceAll("<", "&lt;");
    return `| \`${syntax(key, spec)}\` | ${meaning} |`;
  });
  return `## ${name}\n\n${summary}\n\n\`${usage.join(" ")}\`\n\n| option | meaning |\n|---|---|\n${rows.join("\n")}\n`;
}

/** The page of all commands. */
export async function cliPage(): Promise<string> {
  const commands = await allCommands();
  return [CLI_INTRO, ...commands.map(({ name, command }) => commandPage(name, command))].join("\n");
}

const POLICIES_INTRO = `# Policies

Made from the policies' definitions by \`node scripts/docs.ts\`; \`pareto policies\` prints the same. A policy is written as its name, or with options behind a colon: \`keyformer:budget=50%,noise=none\`. In a configuration file it is that text, or an object: \`{ "name": "keyformer", "budget": "50%" }\`.
`;

/** The page of all policies. */
export async function policiesPage(): Promise<string> {
  const policies = await listPolicies();
  const sections = LISTED_KINDS.map((kind) => {
    const listed = policies.filter((policy) => policy.kind === kind).map(policySection);
    const about = POLICY_KINDS[kind];
    return [`## ${kind}\n\nDecides ${about}.\n`, ...listed].join("\n");
  });
  return [POLICIES_INTRO, ...sections].join("\n");
}

function policySection({ name, summary, source, options }: ListedPolicy): string {
  const head = `### ${name}\n\n${summary} Source: ${source}.\n`;
  if (options.length === 0) return head;
  const rows = options.map(({ name: key, takes, default: value, meaning }) => {
    const cells = [`\`${key}\``, takes, value ?? "–", meaning];
    return `| ${cells.map((cell) => cell.replaceAll("|", "\\|").replaceAll("<", "&lt;")).join(" | ")} |`;
  });
  return `${head}\n| option | takes | default | meaning |\n|---|---|---|---|\n${rows.join("\n")}\n`;
}
