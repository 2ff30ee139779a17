/** @file Options of commands that run language models: how keys and values are cached, and what computes. */
import { z } from "zod";
import { choice, decimal, wholeNumber } from "../../base/optionSchemas.ts";
import { parseBudget, parseRecent, type Budget, type Recent } from "../../llm/kv/budget.ts";
import { choosePolicy, POLICY_NAMES, type PolicyChoice, type PolicyName } from "../../llm/kv/choosePolicy.ts";
import type { KvPolicy } from "../../llm/kv/policy.ts";
import type { RunnerOptions } from "../../llm/runner/openRunner.ts";
import { threads } from "./compute.ts";
import { inGroup, listWords, operand, option, text, words, type Values } from "./spec.ts";

const NOISES = ["gumbel", "gaussian", "constant", "none", "expected"] as const;
const POSITIONS = { original: "their place in the text", new: "their rank in the cache" } as const;
const SCOPES = {
  layer: "each layer its own",
  shared: "all layers the same, by the sum of their scores",
} as const;
const MODES = { paper: "", "reference-mask": "as the authors' published masks do" } as const;
const DEVICES = { cpu: "", cuda: "an NVIDIA GPU" } as const;

/** Reads text by a function that throws for what it refuses. */
const read = <T>(parse: (written: string) => T) => z.string().transform(parse);

/** A language model, as an operand. @param defaultText what is taken without it */
export const modelOperand = (defaultText: string) =>
  operand("model", text, {
    meaning:
      "Folder as Hugging Face publishes it (config.json, safetensors, tokenizer.json) of a Llama, Mistral, Qwen2, Qwen3, GPT-2, GPT-J or MPT, or a llama2.c .bin file with its tokenizer beside it",
    defaultText,
  });

/** `--tokenizer`. */
export const tokenizer = option("path", text, {
  meaning: "A tokenizer.json, a folder with one, or llama2.c's tokenizer",
  defaultText: "the one beside the model",
});

/** Which tokens a cache keeps, by name. */
export const policyName = choice(POLICY_NAMES);

/** `--kv-budget`. */
export const kvBudget = option("size", read(parseBudget) as z.ZodType<Budget>, {
  meaning: "Tokens that each layer and head keeps, a number or a share of the prompt",
  defaultText: "50%",
});

/** What tunes a policy. A policy refuses what it does not have. */
export const kvTuningOptions = inGroup("KV cache:", {
  recent: option("size", read(parseRecent) as z.ZodType<Recent>, {
    meaning: "Newest tokens, which always stay, a number or a share of the budget",
    defaultText: "the policy's own",
  }),
  sinks: option("n", wholeNumber({ min: 0 }), {
    meaning: "First tokens, which always stay with streaming and keyformer",
    defaultText: "4 for streaming, 0 for keyformer",
  }),
  kvNoise: option("kind", choice(NOISES), {
    meaning: `Noise that keyformer adds to logits before it scores them: ${NOISES.join(", ")}`,
    defaultText: "gumbel",
  }),
  kvTauInit: option("t", decimal({ above: 0 }), {
    meaning: "Temperature of keyformer's scores in the prompt",
    defaultText: "1",
  }),
  kvTauEnd: option("t", decimal({ above: 0 }), {
    meaning: "Temperature of keyformer's scores at the last new token",
    defaultText: "2",
  }),
  kvPositions: option("which", words(POSITIONS), {
    meaning: `Positions of kept tokens with streaming and keyformer: ${listWords(POSITIONS)}`,
    defaultText: "new for streaming, original for keyformer",
  }),
  kvScope: option("which", words(SCOPES), {
    meaning: `Which tokens keyformer keeps: ${listWords(SCOPES)}`,
    defaultText: "layer",
  }),
  evictEvery: option("n", wholeNumber({ min: 1 }), {
    meaning: "New tokens between keyformer's evictions",
    defaultText: "1",
  }),
  kvMode: option("which", words(MODES), {
    meaning: `How keyformer computes scores: ${listWords(MODES)}`,
    defaultText: "paper",
  }),
});

/** What runs a model, and in which type of numbers. */
export const runnerOptions = inGroup("Device:", {
  device: option("name", words(DEVICES), {
    meaning: `What computes: ${listWords(DEVICES)}`,
    default: "cpu",
  }),
  dtype: option("name", choice(["f32", "bf16", "f16"]), {
    meaning: "Type of weights, keys and values: f32, bf16 or f16",
    defaultText: "f32 on the cpu, bf16 on cuda",
  }),
  threads,
});

/** Values of {@link kvTuningOptions}. */
export type KvTuningValues = Values<typeof kvTuningOptions>;
/** Values of {@link runnerOptions}. */
export type RunnerValues = Values<typeof runnerOptions>;

/** One policy, its budget and what tunes it. */
export interface KvValues extends KvTuningValues {
  readonly kv: PolicyName;
  readonly kvBudget: Budget | undefined;
}

/** The options of a policy that a user set, but for its name and budget. */
function tuningOf(values: KvTuningValues): Partial<PolicyChoice> {
  const { recent, sinks, evictEvery, kvNoise, kvTauInit, kvTauEnd, kvPositions, kvScope, kvMode } = values;
  return {
    ...(recent && { recent }),
    ...(sinks !== undefined && { sinks }),
    ...(evictEvery !== undefined && { evictEvery }),
    ...(kvNoise && { noise: kvNoise }),
    ...(kvTauInit !== undefined && { tauInit: kvTauInit }),
    ...(kvTauEnd !== undefined && { tauEnd: kvTauEnd }),
    ...(kvPositions && { positions: kvPositions }),
    ...(kvScope && { scope: kvScope }),
    ...(kvMode && { mode: kvMode }),
  };
}

/** The policy that a user chose, for texts of so many new tokens. @throws ParetoError as `choosePolicy` */
export function policyOf(values: KvValues, maxNewTokens: number): KvPolicy {
  return choosePolicy({
    name: values.kv,
    maxNewTokens,
    ...(values.kvBudget && { budget: values.kvBudget }),
    ...tuningOf(values),
  });
}

/** How the runner is opened. */
export function runnerSettings({ device, dtype, threads }: RunnerValues): RunnerOptions {
  return { device, threads, ...(dtype && { dtype }) };
}
