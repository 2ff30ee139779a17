/** @file The commands of `pareto`: those of a domain, by domain and verb, and those of none. */
import type { Command } from "commander";
import { newParser, parserOf, type AnyCommand } from "./command.ts";
import { domains, type CommandFile, type Domain } from "./domains.ts";

/** Commands of no domain by name. */
const general: Readonly<Record<string, { summary: string; load: () => Promise<CommandFile> }>> = {
  policies: {
    summary: "List every policy with its options, their defaults, and where it is published.",
    load: () => import("./commands/policies.ts"),
  },
  report: {
    summary: "Write the report of a run from its folder, or one page that compares runs.",
    load: () => import("./commands/report.ts"),
  },
  doctor: {
    summary: "Check by real computations that each target works here, and time it.",
    load: () => import("./commands/doctor.ts"),
  },
  demo: {
    summary: "Tour of the systems: run each on something small, and show what it saves in one table.",
    load: () => import("./commands/demo.ts"),
  },
};

/** A command that has commands below it and does nothing by itself. */
function group(path: readonly string[], summary: string): Command {
  return newParser(path, summary).enablePositionalOptions();
}

/** A domain with the one verb that the arguments name, or with all. */
async function domainCommand(name: string, { summary, verbs }: Domain, verb?: string): Promise<Command> {
  const command = group([name], summary);
  const isKnown = verb !== undefined && Object.hasOwn(verbs, verb);
  for (const [each, load] of Object.entries(verbs))
    if (!isKnown || each === verb) command.addCommand(parserOf([name, each], (await load()).command));
  return command;
}

/** The program with what the arguments name loaded; a name alone stands for the others. @param args after `pareto` */
export async function programFor(description: string, args: readonly string[]): Promise<Command> {
  const program = group([], description);
  const [name, verb] = args[0] === "help" ? args.slice(1) : args;
  for (const [domain, content] of Object.entries(domains)) {
    program.addCommand(
      domain === name ? await domainCommand(domain, content, verb) : group([domain], content.summary),
    );
  }
  for (const [other, { summary, load }] of Object.entries(general)) {
    program.addCommand(other === name ? parserOf([other], (await load()).command) : group([other], summary));
  }
  return program;
}

/** Every command that does something, with the words that call it, in the order of the help. */
export async function allCommands(): Promise<{ name: string; command: AnyCommand }[]> {
  const found = [];
  for (const [domain, { verbs }] of Object.entries(domains)) {
    for (const [verb, load] of Object.entries(verbs))
      found.push({ name: `pareto ${domain} ${verb}`, command: (await load()).command });
  }
  for (const [name, { load }] of Object.entries(general))
    found.push({ name: `pareto ${name}`, command: (await load()).command });
  return found;
}
