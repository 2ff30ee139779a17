/** @file Runs a KV cache on made-up logits, as a model would, and notes what it keeps. */
import { type HeadView, KvCache, type KvCacheOptions, type KvPolicy } from "../../../src/llm/index.ts";

/** The logit of a query head's query for a key, by positions in the text. */
export type LogitOf = (layer: number, queryHead: number, query: number, key: number) => number;

/** What {@link driveCache} takes beside the logits. */
export interface DriveOptions {
  policy: KvPolicy | ((layer: number) => KvPolicy);
  promptTokens: number;
  newTokens: number;
  layers?: number;
  queryHeads?: number;
  kvHeads?: number;
  seed?: number | bigint;
  stream?: number;
  /** Tokens of the prompt at a time; all when left out. */
  chunk?: number;
  attentionWindow?: number;
  onDecision?: KvCacheOptions["onDecision"];
}

/** One head after the prompt or a step. */
export interface HeadState {
  /** Ascending. */
  positions: number[];
  /** By `positions`. */
  scores: number[];
  /** Positions that the query attended to, ascending; empty for the prompt. */
  attended: number[];
  /** Scores that evicted entries took with them since the prompt began. */
  evictedScore: number;
}

/** States by step (0 is the prompt), layer and KV head. */
export type Drive = { cache: KvCache; steps: HeadState[][][] };

const HEAD_DIM = 2;

/** Feeds a prompt and then tokens, one at a time. Keys are (position, layer), values twice that. */
export function driveCache(logit: LogitOf, options: DriveOptions): Drive {
  const { policy, promptTokens, newTokens, layers = 1, queryHeads = 1, kvHeads = 1 } = options;
  const evictedScores = Array.from({ length: layers }, () => new Float64Array(kvHeads));
  const cache: KvCache = new KvCache({
    layers,
    queryHeads,
    kvHeads,
    headDim: HEAD_DIM,
    promptTokens,
    maxNewTokens: newTokens,
    seed: options.seed ?? 1234,
    stream: options.stream ?? 0,
    policies: typeof policy === "function" ? policy : () => policy,
    ...(options.attentionWindow === undefined ? {} : { attentionWindow: () => options.attentionWindow! }),
    onDecision: (decision) => {
      options.onDecision?.(decision);
      const named = new Set(decision.positions);
      for (const [layer, scores] of evictedScores.entries()) {
        if (decision.layer >= 0 && decision.layer !== layer) continue;
        for (const { position, score } of liveOf(cache.layers[layer]!.view(decision.kvHead))) {
          if (named.has(position) === (decision.kind === "evict")) scores[decision.kvHead]! += score;
        }
      }
    },
  });
  const group = queryHeads / kvHeads;

  function append(layer: number, first: number, tokens: number): void {
    const keys = new Float32Array(tokens * kvHeads * HEAD_DIM);
    for (let row = 0; row < tokens * kvHeads; row++) {
      keys.set([first + Math.floor(row / kvHeads), layer], row * HEAD_DIM);
    }
    cache.layers[layer]!.append(
      keys,
      keys.map((x) => 2 * x),
      tokens,
    );
  }

  function addRow(layer: number, kvHead: number, query: number, visible: number): void {
    const { positions } = cache.layers[layer]!.view(kvHead);
    const logits = new Float64Array(group * visible);
    for (let member = 0; member < group; member++) {
      for (let slot = 0; slot < visible; slot++) {
        logits[member * visible + slot] = logit(layer, kvHead * group + member, query, positions[slot]!);
      }
    }
    cache.layers[layer]!.addRow({ kvHead, queryPosition: query, logits, visible });
  }

  function statesOf(layer: number, attended: number[][]): HeadState[] {
    return Array.from({ length: kvHeads }, (_, kvHead) => {
      const live = liveOf(cache.layers[layer]!.view(kvHead));
      return {
        positions: live.map(({ position }) => position),
        scores: live.map(({ score }) => score),
        attended: attended[kvHead] ?? [],
        evictedScore: evictedScores[layer]![kvHead]!,
      };
    });
  }

  const steps: HeadState[][][] = [];
  const prompt: HeadState[][] = [];
  for (let layer = 0; layer < layers; layer++) {
    const chunk = options.chunk ?? promptTokens;
    for (let from = 0; from < promptTokens; from += chunk) {
      const to = Math.min(promptTokens, from + chunk);
      append(layer, from, to - from);
      for (let kvHead = 0; kvHead < kvHeads; kvHead++) {
        for (let query = from; query < to; query++) {
          if (cache.layers[layer]!.wantsRow(query)) addRow(layer, kvHead, query, query + 1);
        }
      }
    }
    cache.endPrefill(layer);
  }
  for (let layer = 0; layer < layers; layer++) prompt.push(statesOf(layer, []));
  steps.push(prompt);

  for (let step = 1; step <= newTokens; step++) {
    const query = promptTokens + step - 1;
    const attended: number[][][] = [];
    for (let layer = 0; layer < layers; layer++) {
      append(layer, query, 1);
      attended.push([]);
      for (let kvHead = 0; kvHead < kvHeads; kvHead++) {
        const head = cache.layers[layer]!.view(kvHead);
        attended[layer]!.push(liveOf(head).map(({ position }) => position));
        addRow(layer, kvHead, query, head.length);
      }
      cache.endDecode(layer);
    }
    steps.push(attended.map((heads, layer) => statesOf(layer, heads)));
  }
  return { cache, steps };
}

/** Kept positions of layer 0 and KV head 0 after each step. */
export function keptOf({ steps }: Drive): number[][] {
  return steps.map((layers) => layers[0]![0]!.positions);
}

function liveOf(head: HeadView): { position: number; score: number }[] {
  return Array.from({ length: head.length }, (_, slot) => ({
    position: head.positions[slot]!,
    score: head.scores[slot]!,
  })).sort((a, b) => a.position - b.position);
}

/** The logits of the specification's golden traces. */
export const traceLogit: LogitOf = (_layer, _head, query, key) =>
  ((7 * query + 3 * key + query * key) % 11) * 0.3 + (key === 5 && query > 5 ? 4 : 0);

/** Logits like a trained head's: a hash of the positions, spread by `scale`. */
export function hashLogit(seed: number, scale: number): LogitOf {
  return (layer, head, query, key) => {
    let word = Math.imul(seed + 1, 0x9e3779b1);
    for (const part of [layer, head, query, key]) {
      word = Math.imul(word ^ (part + 0x7f4a7c15), 0x85ebca6b);
      word ^= word >>> 15;
    }
    return ((word >>> 0) / 2 ** 32 - 0.5) * 2 * scale;
  };
}
