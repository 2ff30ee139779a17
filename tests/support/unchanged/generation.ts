/** @file What the shipped language models write under every policy of the KV cache: tokens, memory, and logits. */
import { createHash } from "node:crypto";
import { LlmEngine } from "../../../src/llm/engine/llmEngine.ts";
import type { GenerateRequest } from "../../../src/llm/engine/request.ts";
import { endOf, runBatch } from "../../../src/llm/engine/runBatch.ts";
import type { SamplerOptions } from "../../../src/llm/generate/sampler.ts";
import { kvPolicies, kvPolicy } from "../../../src/llm/kv/kvPolicies.ts";
import { openModel } from "../../../src/llm/load/openModel.ts";
import { openRunner } from "../../../src/llm/runner/openRunner.ts";
import type { LlmRunner } from "../../../src/llm/runner/runner.ts";
import { shippedModelPath, type ShippedModel } from "../../../src/llm/shippedModels.ts";
import { numbers } from "./numbers.ts";

/** What a model does under a policy. */
export interface Generated {
  /** Tokens that are the most probable, one after the other. */
  greedy: number[];
  /** Tokens that were drawn with a seed. */
  sampled: number[];
  evictedTokens: number;
  kvBytes: number;
  /** Hash of the logits after the prompt and after each of some given tokens. */
  logits: string;
  /** Of the same: sums of squares of the first and of the last logits. */
  firstSquares: number;
  lastSquares: number;
}

/** Models with the tokens of their prompts and of what follows. */
const MODELS: Record<ShippedModel, { promptTokens: number; newTokens: number }> = {
  shakespeare: { promptTokens: 48, newTokens: 24 },
  "recall-rotary": { promptTokens: 60, newTokens: 16 },
  "recall-alibi": { promptTokens: 60, newTokens: 16 },
  "recall-learned": { promptTokens: 60, newTokens: 16 },
};
/** The models. */
export const GENERATING_MODELS = Object.keys(MODELS) as ShippedModel[];

const PROMPT =
  "KING HENRY:\nO God of battles! steel my soldiers' hearts;\nPossess them not with fear; take from them now\nThe sense of reckoning, if the opposed numbers\nPluck their hearts from them.\n\nGLOUCESTER:\n";

/** A policy and its options. */
type PolicyOptions = { name: string } & Record<string, unknown>;

/** Policies with other options than their defaults. */
const VARIANTS: Record<string, PolicyOptions> = {
  "keyformer shared": { name: "keyformer", scope: "shared", noise: "gaussian", sinks: 2 },
  "keyformer renumbered": { name: "keyformer", noise: "none", positions: "new", evictEvery: 3 },
  "keyformer reference-mask": { name: "keyformer", mode: "reference-mask", noise: "constant" },
  "keyformer expected": { name: "keyformer", noise: "expected", tauInit: 0.5, tauEnd: 1.5 },
  "streaming original": { name: "streaming", sinks: 2, positions: "original" },
  "h2o recent": { name: "h2o", recent: { share: 0.5 } },
};
const CHOICES: Record<string, PolicyOptions> = {
  ...Object.fromEntries(kvPolicies.names.map((name) => [name, { name }])),
  ...VARIANTS,
};

/** A model with a prompt, and tokens that follow it. */
interface Subject {
  runner: LlmRunner;
  prompt: number[];
  following: number[];
}

/** Opens a shipped model, and disposes of it after use. */
async function withModel<T>(
  name: ShippedModel,
  options: { threads: number; maxSequences: number },
  use: (subject: Subject) => Promise<T>,
): Promise<T> {
  const { promptTokens, newTokens } = MODELS[name];
  const { files, tokenizer } = await openModel(shippedModelPath(name));
  const runner = await openRunner(files, { device: "cpu", ...options });
  try {
    const { vocabSize } = files.config;
    const next = numbers(9);
    // Few different tokens, so that attention has something to find.
    const drawn = () => Math.floor(next() * 40) % vocabSize;
    const prompt =
      name === "shakespeare"
        ? tokenizer.encode(PROMPT).slice(0, promptTokens)
        : Array.from({ length: promptTokens }, drawn);
    return await use({ runner, prompt: [...prompt], following: Array.from({ length: newTokens }, drawn) });
  } finally {
    await runner.dispose();
    await files.close();
  }
}

/** How a text is cached under one of {@link CHOICES}. */
function cachedBy(choice: string, maxNewTokens: number) {
  const { name, ...options } = CHOICES[choice]!;
  const budget = name === "full" ? {} : { budget: { share: 0.4 } };
  const policy = kvPolicy({ name, ...budget, ...options }, { maxNewTokens });
  return { policies: () => policy, maxNewTokens, seed: 7 };
}

/** A request to the engine for the same. */
function requestOf(choice: string, prompt: readonly number[], maxNewTokens: number): GenerateRequest {
  const { policies: kv, seed } = cachedBy(choice, maxNewTokens);
  return { prompt, maxNewTokens, kv, noise: { seed }, ignoreEos: true };
}

/** What a model writes, by policy. */
export function generateUnderPolicies(name: ShippedModel, threads = 1): Promise<Record<string, Generated>> {
  return withModel(name, { threads, maxSequences: 1 }, async (subject) => {
    const found: Record<string, Generated> = {};
    for (const choice of Object.keys(CHOICES)) found[choice] = await generateUnder(subject, choice);
    return found;
  });
}

const SAMPLING = { temperature: 0.9, topK: 40, topP: 0.95 };

async function generateUnder({ runner, prompt, following }: Subject, choice: string): Promise<Generated> {
  const maxNewTokens = following.length;
  const engine = new LlmEngine(runner);
  const generate = (sampling: SamplerOptions) =>
    endOf(engine.generate({ ...requestOf(choice, prompt, maxNewTokens), sampling }));
  const { tokens: greedy, memory } = await generate({ temperature: 0 });
  const { evictedTokens, kvBytes } = memory!;
  const { tokens: sampled } = await generate({ ...SAMPLING, seed: 7 });
  runner.begin(0, cachedBy(choice, maxNewTokens));
  const hash = createHash("sha256");
  const squares: number[] = [];
  const take = (logits: Float32Array) => {
    hash.update(new Uint8Array(logits.buffer, logits.byteOffset, logits.byteLength));
    squares.push(logits.reduce((sum, x) => sum + x * x, 0));
  };
  take(await runner.prefill([{ sequence: 0, tokens: prompt }]));
  for (const token of following) take(await runner.decode([{ sequence: 0, token }]));
  const [firstSquares, lastSquares] = [squares[0]!, squares.at(-1)!];
  return {
    greedy: [...greedy],
    sampled: [...sampled],
    evictedTokens,
    kvBytes,
    logits: hash.digest("hex"),
    firstSquares,
    lastSquares,
  };
}

/** Tokens of texts that share the runner: of several lengths and policies, most probable, drawn, or found by beams. */
export function generateTogether(name: ShippedModel, threads = 1): Promise<number[][]> {
  return withModel(name, { threads, maxSequences: 3 }, async ({ runner, prompt }) => {
    const request = (choice: string, from: number, newTokens: number, how: object): GenerateRequest => ({
      ...requestOf(choice, prompt.slice(from), newTokens),
      ...how,
    });
    const found: number[][] = [];
    const batch = runBatch(new LlmEngine(runner), [
      request("keyformer", 0, 12, {}),
      request("full", 20, 5, { sampling: { ...SAMPLING, seed: 3 } }),
      request("h2o", 5, 16, { sampling: { ...SAMPLING, seed: 4 } }),
      request("window", 11, 8, {}),
      request("keyformer", 7, 10, { beams: 3 }),
      request("snapkv", 2, 9, { sampling: { ...SAMPLING, seed: 5 } }),
    ]);
    for await (const { index, tokens } of batch) found[index] = [...tokens];
    return found;
  });
}
