/** @file Options of commands that run language models: how keys and values are cached, and what computes. */
import type { Command } from "commander";
import { parseBudget, parseRecent, type Budget, type Recent } from "../../llm/kv/budget.ts";
import { choosePolicy, POLICY_NAMES, type PolicyChoice, type PolicyName } from "../../llm/kv/choosePolicy.ts";
import type { KvPolicy } from "../../llm/kv/policy.ts";
import type { RunnerOptions } from "../../llm/runner/openRunner.ts";
import { threadsOption, withDefault } from "./compute.ts";
import { oneOf, positiveNumber, wholeNumber } from "./values.ts";

const NOISES = ["gumbel", "gaussian", "constant", "none", "expected"] as const;

/** What tunes a policy, besides its budget. */
export interface KvTuningFlags {
  recent?: Recent;
  sinks?: number;
  evictEvery?: number;
  kvNoise?: (typeof NOISES)[number];
  kvTauInit?: number;
  kvTauEnd?: number;
  kvPositions?: "original" | "new";
  kvScope?: "layer" | "shared";
  kvMode?: "paper" | "reference-mask";
}

/** One policy and its budget. */
export interface KvFlags extends KvTuningFlags {
  kv: PolicyName;
  kvBudget?: Budget;
}

/** Where a model runs, and in what dtype. */
export interface RunnerFlags {
  device: RunnerOptions["device"];
  dtype?: NonNullable<RunnerOptions["dtype"]>;
  threads: number;
}

/** Adds `--kv` and `--kv-budget`. */
export function withKvOptions(command: Command): Command {
  return command
    .option(
      "--kv <policy>",
      `which tokens stay in the cache: ${POLICY_NAMES.join(", ")}`,
      oneOf("--kv", POLICY_NAMES),
      "full",
    )
    .option(
      "--kv-budget <size>",
      "tokens that each layer and head keeps: a share of the prompt or a number (default: 50%)",
      parseBudget,
    );
}

/** Adds what tunes policies. A policy refuses what it has not. */
export function withKvTuning(command: Command): Command {
  return command
    .option(
      "--recent <size>",
      "the newest tokens, which always stay: a share of the budget or a number (default: the policy's own)",
      parseRecent,
    )
    .option(
      "--sinks <n>",
      "the first tokens, which always stay: of streaming (default: 4) and keyformer (default: 0)",
      wholeNumber("--sinks", 0),
    )
    .option(
      "--kv-noise <kind>",
      `keyformer: noise on logits that are scored: ${NOISES.join(", ")} (default: gumbel)`,
      oneOf("--kv-noise", NOISES),
    )
    .option(
      "--kv-tau-init <t>",
      "keyformer: temperature of scores in the prompt (default: 1)",
      positiveNumber("--kv-tau-init"),
    )
    .option(
      "--kv-tau-end <t>",
      "keyformer: temperature of scores at the last new token (default: 2)",
      positiveNumber("--kv-tau-end"),
    )
    .option(
      "--kv-positions <which>",
      "whether kept tokens have their original positions or new ones, by rank: of streaming (default: new) and keyformer (default: original)",
      oneOf("--kv-positions", ["original", "new"]),
    )
    .option(
      "--kv-scope <which>",
      "keyformer: each layer keeps its own tokens, or all share one choice by the sum of their scores: layer, shared (default: layer)",
      oneOf("--kv-scope", ["layer", "shared"]),
    )
    .option(
      "--evict-every <n>",
      "keyformer: new tokens between evictions (default: 1)",
      wholeNumber("--evict-every", 1),
    )
    .option(
      "--kv-mode <which>",
      "keyformer: as the paper says, or as the authors' published masks do: paper, reference-mask (default: paper)",
      oneOf("--kv-mode", ["paper", "reference-mask"]),
    );
}

/** Adds `--device`, `--dtype` and `--threads`. */
export function withRunnerOptions(command: Command): Command {
  return command
    .addOption(
      withDefault(
        "--device <name>",
        "what computes: cpu or cuda (an NVIDIA GPU)",
        oneOf("--device", ["cpu", "cuda"]),
        "cpu",
        "cpu",
      ),
    )
    .option(
      "--dtype <name>",
      "what weights, keys and values are: f32, bf16 or f16 (default: f32 on the cpu, bf16 on cuda)",
      oneOf("--dtype", ["f32", "bf16", "f16"]),
    )
    .addOption(threadsOption());
}

/** The options of a policy that a user set, but for its name and budget. */
function tuningOf(flags: KvTuningFlags): Partial<PolicyChoice> {
  const { recent, sinks, evictEvery } = flags;
  return {
    ...(recent && { recent }),
    ...(sinks !== undefined && { sinks }),
    ...(evictEvery !== undefined && { evictEvery }),
    ...(flags.kvNoise && { noise: flags.kvNoise }),
    ...(flags.kvTauInit !== undefined && { tauInit: flags.kvTauInit }),
    ...(flags.kvTauEnd !== undefined && { tauEnd: flags.kvTauEnd }),
    ...(flags.kvPositions && { positions: flags.kvPositions }),
    ...(flags.kvScope && { scope: flags.kvScope }),
    ...(flags.kvMode && { mode: flags.kvMode }),
  };
}

/** The policy that a user chose, for texts of so many new tokens. @throws ParetoError as `choosePolicy` */
export function policyOf(flags: KvFlags, maxNewTokens: number): KvPolicy {
  return choosePolicy({
    name: flags.kv,
    maxNewTokens,
    ...(flags.kvBudget && { budget: flags.kvBudget }),
    ...tuningOf(flags),
  });
}

/** How the runner is opened. */
export function runnerOptions({ device, dtype, threads }: RunnerFlags): RunnerOptions {
  return { device, threads, ...(dtype && { dtype }) };
}
