/**
 * @file The commands of each domain, by verb. Each is one file in `commands/`, which is loaded only when it runs or when its
 * help is asked for, so that a command starts without what others need: a classifier of proteins without the database
 * that reads click logs.
 */
import type { AnyCommand } from "./command.ts";

/** A command's file. */
export interface CommandFile {
  command: AnyCommand;
}

/** Commands of one domain. */
export interface Domain {
  summary: string;
  /** By the verb that names each, in the order of the help. */
  verbs: Readonly<Record<string, () => Promise<CommandFile>>>;
}

/** The domains by name. */
export const domains: Readonly<Record<string, Domain>> = {
  recsys: {
    summary:
      "Recommenders: profile click logs, train CTR models on them, compare, evaluate, predict, export.",
    verbs: {
      synth: () => import("./commands/recsys/synth.ts"),
      profile: () => import("./commands/recsys/profile.ts"),
      train: () => import("./commands/recsys/train.ts"),
      compare: () => import("./commands/recsys/compare.ts"),
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

/** A command by the words that call it. */
export async function commandNamed(domain: string, verb: string): Promise<AnyCommand> {
  return (await domains[domain]!.verbs[verb]!()).command;
}
