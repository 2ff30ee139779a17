/** @file Options of commands that run language models: how keys and values are cached, and what computes. */
import { choice } from "../../base/optionSchemas.ts";
import { kvPolicies } from "../../llm/kv/kvPolicies.ts";
import type { KvPolicy } from "../../llm/kv/policy.ts";
import type { RunnerOptions } from "../../llm/runner/openRunner.ts";
import { threads } from "./compute.ts";
import { policyText } from "./policy.ts";
import { inGroup, listWords, operand, option, text, words, type Values } from "./spec.ts";

const DEVICES = { cpu: "", cuda: "an NVIDIA GPU" } as const;

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

/**
 * `--kv` with a policy of the KV cache; commands check it by {@link policyOf}.
 * @param meaning a phrase that ends before the policies' names
 */
export const kvOption = (meaning: string, policy: string) =>
  option("policy", policyText, {
    meaning: `${meaning}: ${kvPolicies.names.join(", ")}; options follow a colon, e.g. keyformer:budget=50%,noise=none`,
    default: policy,
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

/** Values of {@link runnerOptions}. */
export type RunnerValues = Values<typeof runnerOptions>;

/** The value of {@link kvOption}. */
export interface KvValues {
  readonly kv: string;
}

/**
 * The policy that a user chose, for sequences of so many new tokens.
 * @throws ParetoError POLICY_TEXT, POLICY_UNKNOWN, POLICY_OPTION and what the policy refuses
 */
export function policyOf({ kv }: KvValues, maxNewTokens: number): KvPolicy {
  return kvPolicies.parse(kv, "--kv").create({ maxNewTokens });
}

/** How the runner is opened. */
export function runnerSettings({ device, dtype, threads }: RunnerValues): RunnerOptions {
  return { device, threads, ...(dtype && { dtype }) };
}
