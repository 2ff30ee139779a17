/**
 * @file Evicting from the cache is the same as keeping everything and not looking at what was evicted: a dense
 * attention of this test's own, which masks exactly the entries that the cache says it dropped, gives the same logits.
 */
import { describe, expect, test } from "vitest";
import type { DenseDecoder } from "../../../src/llm/cpu/denseDecoder.ts";
import { choosePolicy, POLICY_NAMES } from "../../../src/llm/kv/choosePolicy.ts";
import type { KvDecision } from "../../../src/llm/kv/kvCache.ts";
import { full } from "../../../src/llm/kv/policies/full.ts";
import { keyformer } from "../../../src/llm/kv/policies/keyformer.ts";
import { streaming } from "../../../src/llm/kv/policies/streaming.ts";
import type { KvPolicy } from "../../../src/llm/kv/policy.ts";
import { rotate } from "../../../src/llm/models/rotary.ts";
import type { LlmRunner } from "../../../src/llm/runner/runner.ts";
import { cases, largestDifference, openCase, openDense } from "./goldenModels.ts";

const PROMPT = 60;
const STEPS = 64;
const BUDGET = 20;
/** The text is read again from its start where it ends. */
const TEXT = Array.from({ length: PROMPT + STEPS }, (_, i) => cases.tokens[(i * 3) % cases.tokens.length]!);

/**
 * Keeps all keys and values as they were before any rotation; looks at those that are not hidden, at their places in
 * the text or, renumbered, among those that are seen.
 */
class MaskedModel {
  readonly #dense: DenseDecoder;
  /** By layer and position: `[kvHeads · headDim]`. */
  readonly #keys: Float32Array[][] = [];
  readonly #values: Float32Array[][] = [];
  readonly #hidden = new Set<string>();
  readonly #isRenumbered: boolean;

  constructor(dense: DenseDecoder, isRenumbered: boolean) {
    this.#dense = dense;
    this.#isRenumbered = isRenumbered;
  }

  hide(layer: number, kvHead: number, position: number): void {
    this.#hidden.add(`${layer}/${kvHead}/${position}`);
  }

  async read(token: number, position: number): Promise<Float32Array> {
    const { config } = this.#dense;
    const place = this.#isRenumbered ? this.#seen(0, 0, position).length - 1 : position;
    const { hidden, q, k } = this.#dense.rowsShape(1);
    const array = (width: number) => new Float32Array(new SharedArrayBuffer(4 * width));
    const row = {
      count: 1,
      hidden: array(hidden),
      q: array(q),
      k: array(k),
      v: array(k),
      attended: array(q),
    };
    await this.#dense.begin(row, [token], [place]);
    for (let layer = 0; ; layer++) {
      (this.#keys[layer] ??= []).push(row.k.slice());
      (this.#values[layer] ??= []).push(row.v.slice());
      row.attended.set(this.#attend(layer, row.q, position));
      if (layer + 1 === config.layers) return this.#dense.end(row, [0]);
      await this.#dense.between(layer, row);
    }
  }

  /** Positions that the query at `position` sees, itself the last. */
  #seen(layer: number, kvHead: number, position: number): number[] {
    const { slidingWindow } = this.#dense.config;
    const first = slidingWindow === null ? 0 : Math.max(0, position - slidingWindow + 1);
    return Array.from({ length: position + 1 - first }, (_, i) => first + i).filter(
      (at) => !this.#hidden.has(`${layer}/${kvHead}/${at}`),
    );
  }

  /** A head of a row, rotated for a place. */
  #head(row: Float32Array, head: number, place: number): Float32Array {
    const { headDim, rotary } = this.#dense.config;
    const part = row.slice(head * headDim, (head + 1) * headDim);
    if (rotary) rotate(part, rotary, { rows: 1, headDim, first: place, length: place + 1 });
    return part;
  }

  #attend(layer: number, q: Float32Array, position: number): Float32Array {
    const { heads, kvHeads, headDim, attentionScale, alibiSlopes } = this.#dense.config;
    const out = new Float32Array(q.length);
    const dims = Array.from({ length: headDim }, (_, i) => i);
    for (let head = 0; head < heads; head++) {
      const kvHead = Math.floor(head / (heads / kvHeads));
      const seen = this.#seen(layer, kvHead, position);
      const placeOf = (rank: number) => (this.#isRenumbered ? rank : seen[rank]!);
      const query = this.#head(q, head, placeOf(seen.length - 1));
      const logits = seen.map((at, rank) => {
        const key = this.#head(this.#keys[layer]![at]!, kvHead, placeOf(rank));
        const product = dims.reduce((sum, i) => sum + query[i]! * key[i]!, 0);
        // ALiBi but for what all keys of a query have in common.
        return attentionScale(layer) * product + (alibiSlopes?.[head] ?? 0) * placeOf(rank);
      });
      const most = Math.max(...logits);
      const weights = logits.map((x) => Math.exp(x - most));
      const total = weights.reduce((a, b) => a + b);
      for (const i of dims) {
        const sum = seen.reduce(
          (n, at, j) => n + weights[j]! * this.#values[layer]![at]![kvHead * headDim + i]!,
          0,
        );
        out[head * headDim + i] = sum / total;
      }
    }
    return out;
  }
}

/** Differences of the logits at each step between the cache and the mask. */
async function differences(
  runner: LlmRunner,
  dense: DenseDecoder,
  policy: KvPolicy,
): Promise<{ most: number; evicted: number }> {
  const decisions: KvDecision[] = [];
  runner.begin(0, {
    policies: () => policy,
    maxNewTokens: STEPS,
    seed: 7,
    onDecision: (decision) => decisions.push(decision),
  });
  const masked = new MaskedModel(dense, policy.positions === "new");
  let told = 0;
  let evicted = 0;
  const { layers } = dense.config;
  const apply = (seen: number) => {
    for (; told < decisions.length; told++) {
      const { kind, layer, kvHead, positions } = decisions[told]!;
      const kept = new Set(positions);
      const gone =
        kind === "evict"
          ? positions
          : Array.from({ length: seen }, (_, at) => at).filter((at) => !kept.has(at));
      evicted += gone.length;
      for (const at of gone)
        for (const each of layer < 0 ? Array.from({ length: layers }, (_, i) => i) : [layer])
          masked.hide(each, kvHead, at);
    }
  };
  const first = await runner.read([{ seat: 0, tokens: TEXT.slice(0, PROMPT) }]);
  let wanted = first;
  for (let i = 0; i < PROMPT; i++) wanted = await masked.read(TEXT[i]!, i);
  let most = largestDifference(first, wanted);
  apply(PROMPT);
  for (let i = PROMPT; i < PROMPT + STEPS; i++) {
    const got = await runner.step([{ seat: 0, token: TEXT[i]! }]);
    most = Math.max(most, largestDifference(got, await masked.read(TEXT[i]!, i)));
    apply(i + 1);
  }
  return { most, evicted };
}

/** The same, on a model of the golden cases. */
async function differencesOf(model: string, name: string, policy: KvPolicy) {
  const runner = await openCase(model, name);
  const dense = await openDense(model, name);
  try {
    return { ...(await differences(runner, dense, policy)) };
  } finally {
    await Promise.all([runner.dispose(), dense.dispose()]);
  }
}

describe("a cache that evicts equals a mask over everything", () => {
  const evicting = POLICY_NAMES.filter((name) => name !== "full");
  test.each(evicting)("llama, %s", async (name) => {
    const policy = choosePolicy({ name, budget: { tokens: BUDGET }, maxNewTokens: STEPS });
    const { most, evicted } = await differencesOf("llama", "default", policy);
    expect(evicted).toBe(2 * 2 * (PROMPT + STEPS - BUDGET));
    expect(most).toBeLessThan(1e-4);
  });

  test.each(
    Object.keys(cases.models)
      .filter((model) => model !== "llama")
      .map((model): [string, string] => [model, "default"])
      .concat([["llama", "mistral"]]),
  )("%s %s, keyformer", async (model, name) => {
    const policy = keyformer({ budget: { tokens: BUDGET }, horizon: STEPS });
    expect((await differencesOf(model, name, policy)).most).toBeLessThan(1e-4);
  });
});

test.each(["gpt2", "mpt"])("%s, streaming: entries numbered anew", async (model) => {
  const policy = streaming({ budget: { tokens: BUDGET } });
  expect(policy.positions).toBe("new");
  expect((await differencesOf(model, "default", policy)).most).toBeLessThan(1e-4);
});

test.each(Object.keys(cases.models))("%s: a budget of the whole text changes no bit", async (model) => {
  const runner = await openCase(model, "default");
  try {
    const run = async (policy: KvPolicy) => {
      runner.begin(0, { policies: () => policy, maxNewTokens: 10, seed: 3 });
      const all = [...(await runner.read([{ seat: 0, tokens: TEXT.slice(0, 30) }]))];
      for (let i = 30; i < 40; i++) all.push(...(await runner.step([{ seat: 0, token: TEXT[i]! }])));
      return all;
    };
    const wanted = await run(full());
    for (const noise of ["gumbel", "none"] as const) {
      expect(await run(keyformer({ budget: { tokens: 40 }, noise, horizon: 10 }))).toEqual(wanted);
    }
  } finally {
    await runner.dispose();
  }
});
