/** @file The kernels' attention and scores against the same in plain TypeScript, with sums in float64. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { HeapKernels } from "../../../../src/engine/targets/cpu/index.ts";
import { Rng } from "../../../../src/base/rng.ts";
import { CacheAttention } from "../../../../src/llm/cpu/cacheAttention.ts";
import type { Rows } from "../../../../src/llm/cpu/denseDecoder.ts";
import { full, h2o, keyformer, snapkv, streaming, tova, type KvPolicy } from "../../../../src/llm/index.ts";
import type { CacheMemory } from "../../../../src/llm/kv/cacheMemory.ts";
import { KvCache } from "../../../../src/llm/kv/kvCache.ts";
import type { KvDecision } from "../../../../src/llm/kv/policy.ts";
import type { DecoderConfig } from "../../../../src/llm/models/decoder.ts";
import { attend } from "../../../support/llm/hostAttention.ts";

const base: DecoderConfig = {
  family: "llama",
  modelType: "llama",
  layers: 1,
  hiddenSize: 32,
  heads: 4,
  kvHeads: 2,
  headDim: 16,
  intermediateSize: 32,
  vocabSize: 8,
  maxPositions: 4096,
  normEpsilon: 1e-5,
  activation: "silu",
  rotary: { dim: 16, theta: 10000, isInterleaved: false, scaling: { kind: "default" } },
  alibiSlopes: null,
  hasLearnedPositions: false,
  tieWordEmbeddings: true,
  biases: { queryKeyValue: false, output: false, mlp: false },
  hasHeadNorm: false,
  clip: null,
  logitScale: 1,
  slidingWindow: () => null,
  attentionScale: () => 0.25,
  eosTokenIds: [],
};

const budget = { count: 12 };
const gumbel = () => keyformer({ budget, horizon: 8 });

/** What changes of the model, and the policy. */
const cases: [name: string, change: Partial<DecoderConfig>, policy: KvPolicy][] = [
  ["grouped heads", {}, gumbel()],
  ["one query a KV head", { kvHeads: 4 }, gumbel()],
  ["one KV head, an odd group", { heads: 3, kvHeads: 1 }, gumbel()],
  ["ALiBi", { rotary: null, alibiSlopes: [0.5, 0.25, 0.125, 0.0625] }, gumbel()],
  ["a sliding window", { slidingWindow: () => 9 }, gumbel()],
  ["a window longer than any budget", { slidingWindow: () => 20 }, h2o({ budget })],
  ["half of a head turned", { rotary: { ...base.rotary!, dim: 8, isInterleaved: true } }, gumbel()],
  ["heads of 12, pairs of 3", { headDim: 12, rotary: { ...base.rotary!, dim: 6 } }, gumbel()],
  ["heads of 7", { headDim: 7, rotary: null }, gumbel()],
  ["heads of 40", { headDim: 40, rotary: null }, gumbel()],
  [
    "angles that follow the length",
    { rotary: { ...base.rotary!, scaling: { kind: "dynamic", factor: 2, original: 16 } } },
    gumbel(),
  ],
  ["no noise, sums", {}, keyformer({ budget, noise: "none", groupReduce: "sum", horizon: 8 })],
  ["highest of a group", {}, keyformer({ budget, groupReduce: "max", horizon: 8 })],
  ["gaussian noise", {}, keyformer({ budget, noise: "gaussian", horizon: 8 })],
  ["constant noise", {}, keyformer({ budget, noise: "constant", horizon: 8 })],
  ["noise of a key", {}, keyformer({ budget, noiseReuse: "per-key", horizon: 8 })],
  ["damped scores", {}, keyformer({ budget, damping: 0.9, horizon: 8 })],
  ["votes", {}, snapkv({ budget, recent: { count: 5 } })],
  ["the last row", {}, tova({ budget })],
  ["entries numbered anew", {}, streaming({ budget })],
  [
    "entries numbered anew, ALiBi",
    { rotary: null, alibiSlopes: [0.5, 0.25, 0.125, 0.0625] },
    streaming({ budget }),
  ],
  ["evictions in threes", {}, keyformer({ budget, evictEvery: 3, horizon: 8 })],
  ["everything kept", {}, full()],
];

let one: HeapKernels;
let three: HeapKernels;
beforeAll(async () => {
  [one, three] = await Promise.all([HeapKernels.create(1), HeapKernels.create(3)]);
});
afterAll(() => Promise.all([one.dispose(), three.dispose()]));

/** What a text's reads gave: rows of attention, scores of live slots by position, and decisions. */
interface Outcome {
  attended: number[][];
  scores: number[][];
  decisions: KvDecision[];
}

interface Reader {
  cache: KvCache;
  attend(
    k: Float32Array,
    q: Float32Array,
    v: Float32Array,
    tokens: number,
    isDecoded: boolean,
  ): Promise<number[]>;
}

/** A prompt in pieces, some tokens, a further turn and more tokens, each as random rows. */
async function outcomeOf(
  config: DecoderConfig,
  pieces: number[],
  makeReader: (onDecision: (decision: KvDecision) => void) => Reader,
): Promise<Outcome> {
  const rng = new Rng(5);
  const decisions: KvDecision[] = [];
  const outcome: Outcome = { attended: [], scores: [], decisions };
  const { cache, attend: run } = makeReader((decision) => decisions.push(decision));
  const { heads, kvHeads, headDim } = config;
  // The same rows in whatever pieces they come.
  const text = [heads, kvHeads, kvHeads].map((each) => {
    const width = each * headDim;
    return {
      width,
      rows: Float32Array.from({ length: (sum(pieces) + 19) * width }, () => 1.5 * rng.normal()),
    };
  });
  const read = async (tokens: number, end: "none" | "prompt" | "step") => {
    const first = cache.layers[0]!.tokensSeen;
    const [q, k, v] = text.map(({ width, rows }) => rows.slice(first * width, (first + tokens) * width)) as [
      Float32Array,
      Float32Array,
      Float32Array,
    ];
    outcome.attended.push(await run(k, q, v, tokens, end === "step"));
    if (end === "prompt") cache.endPrefill(0);
    if (end === "step") cache.endDecode(0);
    if (end === "none") return;
    for (let head = 0; head < kvHeads; head++) {
      const { positions, scores, length } = cache.layers[0]!.view(head);
      const slots = Array.from({ length }, (_, slot) => slot).sort((a, b) => positions[a]! - positions[b]!);
      outcome.scores.push(slots.map((slot) => scores[slot]!));
    }
  };
  for (const [i, piece] of pieces.entries()) {
    await read(piece, i === pieces.length - 1 ? "prompt" : "none");
  }
  for (let step = 0; step < 5; step++) await read(1, "step");
  cache.expect(cache.layers[0]!.tokensSeen + 11);
  await read(11, "prompt");
  for (let step = 0; step < 3; step++) await read(1, "step");
  return outcome;
}

function cacheOf(
  config: DecoderConfig,
  policy: KvPolicy,
  promptTokens: number,
  onDecision: (decision: KvDecision) => void,
  memory?: CacheMemory,
): KvCache {
  const { heads, kvHeads, headDim, slidingWindow } = config;
  return new KvCache({
    layers: 1,
    queryHeads: heads,
    kvHeads,
    headDim,
    attentionWindow: slidingWindow,
    promptTokens,
    maxNewTokens: 8,
    seed: 2n ** 40n + 3n,
    stream: 4,
    policies: () => policy,
    onDecision,
    ...(memory && { memory }),
  });
}

const onHost = (config: DecoderConfig, policy: KvPolicy, pieces: number[]) =>
  outcomeOf(config, pieces, (onDecision) => {
    const cache = cacheOf(config, policy, sum(pieces), onDecision);
    return {
      cache,
      attend: async (k, q, v, tokens) => Array.from(attend(config, 0, cache.layers[0]!, { q, k, v }, tokens)),
    };
  });

function byKernels(kernels: HeapKernels, config: DecoderConfig, policy: KvPolicy, pieces: number[]) {
  const { heap } = kernels;
  const memory: CacheMemory = {
    allocate: (bytes) => ({ byteOffset: heap.allocate(bytes), buffer: heap.memory.buffer }),
    free: ({ byteOffset }) => heap.free(byteOffset),
  };
  const attention = new CacheAttention(config, kernels);
  return outcomeOf(config, pieces, (onDecision) => {
    const cache = cacheOf(config, policy, sum(pieces), onDecision, memory);
    const placed = (values: Float32Array) => {
      const array = heap.float32At(heap.allocate(values.byteLength), values.length);
      array.set(values);
      return array;
    };
    return {
      cache,
      attend: async (k, q, v, tokens, isDecoded) => {
        const rows: Rows = {
          count: tokens,
          hidden: new Float32Array(0),
          q: placed(q),
          k: placed(k),
          v: placed(v),
          attended: placed(q),
        };
        await attention.run(0, rows, [{ cache: cache.layers[0]!, row: 0, tokens, isDecoded }]);
        return Array.from(rows.attended);
      },
    };
  });
}

const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0);

function largest(a: number[][], b: number[][]): number {
  const [x, y] = [a.flat(), b.flat()];
  expect(x.length).toBe(y.length);
  return x.reduce(
    (most, value, i) => Math.max(most, Math.abs(value - y[i]!) / Math.max(1, Math.abs(y[i]!))),
    0,
  );
}

describe.each(cases)("%s", (_name, change, policy) => {
  const config = { ...base, ...change };
  test("attends, scores and decides as plain TypeScript does", async () => {
    const wanted = await onHost(config, policy, [41]);
    const got = await byKernels(one, config, policy, [41]);
    expect(largest(got.attended, wanted.attended)).toBeLessThan(2e-6);
    expect(largest(got.scores, wanted.scores)).toBeLessThan(5e-6);
    expect(got.decisions).toEqual(wanted.decisions);
  });

  test("does not change a bit with threads or pieces", async () => {
    const wanted = await byKernels(one, config, policy, [200]);
    const threaded = await byKernels(three, config, policy, [200]);
    expect(threaded).toEqual(wanted);
    // There, each piece turns its keys by the length that the text has by then.
    if (config.rotary?.scaling.kind === "dynamic") return;
    const inPieces = await byKernels(three, config, policy, [1, 7, 64, 100, 28]);
    expect(inPieces.scores).toEqual(wanted.scores);
    expect(inPieces.decisions).toEqual(wanted.decisions);
    expect(inPieces.attended.flat()).toEqual(wanted.attended.flat());
  });
});

test("says which query has a logit that is not a number", async () => {
  const { heap } = one;
  const array = (length: number) => heap.float32At(heap.allocate(4 * length), length).fill(1);
  const rows = {
    count: 3,
    hidden: array(1),
    q: array(192),
    k: array(96),
    v: array(96),
    attended: array(192),
  };
  rows.q[64 + 2 * 16 + 5] = Number.NaN;
  const memory: CacheMemory = {
    allocate: (bytes) => ({ byteOffset: heap.allocate(bytes), buffer: heap.memory.buffer }),
    free: ({ byteOffset }) => heap.free(byteOffset),
  };
  const cache = cacheOf(base, gumbel(), 3, () => {}, memory);
  const texts = [{ cache: cache.layers[0]!, row: 0, tokens: 3, isDecoded: false }];
  await expect(new CacheAttention(base, one).run(0, rows, texts)).rejects.toThrow(
    expect.objectContaining({ code: "KV_LOGITS_NOT_FINITE", where: "layer 0, head 2, query 1" }),
  );
});
