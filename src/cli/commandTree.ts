/**
 * @file The commands of `pareto`: by domain, then by verb, and those of no domain. Each is one file in `commands/`, which
 * is loaded only when it runs or when its help is asked for, so that a command starts without what others need: a
 * classifier of proteins without the database that reads click logs.
 */
import type { Command } from "commander";
import { newParser, parserOf, type AnyCommand } from "./command.ts";

/** A command's file. */
interface CommandFile {
  command: AnyCommand;
}

/** Commands of one domain. */
interface Domain {
  summary: string;
  /** By the verb that names each, in the order of the help. */
  verbs: Readonly<Record<string, () => Promise<CommandFile>>>;
}

/** The domains by name. */
const domains: Readonly<Record<string, Domain>> = {
  recsys: {
    summary: "Recommenders: profile click logs, train CTR models on them, evaluate, predict, export.",
    verbs: {
      synth: () => import("./commands/recsys/synth.ts"),
      profile: () => import("./commands/recsys/profile.ts"),
      train: () => import("./commands/recsys/train.ts"),
      evaluate: () => import("./commands/recsys/evaluate.ts"),
      predict: () => import("./commands/recsys/predict.ts"),
      export: () => import("./commands/recsys/export.ts"),
    },
  },
  llm: {
    summary: "Language models: generate text with a bounded KV cache, estimate memory, evaluate, train.",
    verbs: {
      generate: () => import("./commands/llm/generate.ts"),
      estimate: () => import("./commands/llm/estimate.ts"),
      evaluate: () => import("./commands/llm/evaluate.ts"),
      train: () => import("./commands/llm/train.ts"),
    },
  },
  protein: {
    summary: "Protein families from FASTA: train a network, classify sequences, evaluate and export it.",
    verbs: {
      train: () => import("./commands/protein/train.ts"),
      classify: () => import("./commands/protein/classify.ts"),
      evaluate: () => import("./commands/protein/evaluate.ts"),
      export: () => import("./commands/protein/export.ts"),
    },
  },
};

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
    summary: "Make a click log, train DLRM on it as baseline and with FAE, and compare them.",
    load: () => import("./commands/demo.ts"),
  },
};

/** A command that has commands below it and does nothing by itself. */
function group(name: string, summary: string): Command {
  return newParser(name, summary).enablePositionalOptions();
}

/** A domain with the one verb that the arguments name, or with all. */
async function domainCommand(name: string, { summary, verbs }: Domain, verb?: string): Promise<Command> {
  const command = group(name, summary);
  const isKnown = verb !== undefined && Object.hasOwn(verbs, verb);
  for (const [each, load] of Object.entries(verbs))
    if (!isKnown || each === verb) command.addCommand(parserOf([name, each], (await load()).command));
  return command;
}

/** The program with what the arguments name loaded; a name alone stands for the others. @param args after `pareto` */
export async function programFor(description: string, args: readonly string[]): Promise<Command> {
  const program = group("pareto", description);
  const [name, verb] = args[0] === "help" ? args.slice(1) : args;
  for (const [domain, content] of Object.entries(domains)) {
    program.addCommand(
      domain === name ? await domainCommand(domain, content, verb) : group(domain, content.summary),
    );
  }
  for (const [other, { summary, load }] of Object.entries(general)) {
    program.addCommand(other === name ? parserOf([other], (await load()).command) : group(other, summary));
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
