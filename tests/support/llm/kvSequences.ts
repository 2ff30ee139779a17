/**
 * @file One text's attention over evicting caches, layer by layer: what happens to it, and what the host makes of it. What the
 * kernels of a GPU make of it is in `kvDeviceText.ts`.
 */
import { decodeHalf, encodeHalf } from "../../../src/base/half.ts";
import type { KvModel } from "../../../src/llm/cuda/calls/model.ts";
import { KvCache } from "../../../src/llm/kv/kvCache.ts";
import type { KvPolicy } from "../../../src/llm/kv/policy.ts";
import type { DecoderConfig } from "../../../src/llm/models/decoder.ts";
import { attend, type Projected } from "./hostAttention.ts";
import type { HeadEntries } from "./kvDevice.ts";

/** A model's attention and a text's policy. */
export interface TextCase {
  config: DecoderConfig;
  dtype: KvModel["dtype"];
  policy: KvPolicy;
  seed: number;
  stream: number;
}

/** What happens to a text: tokens that are read at once, and whether more of the same read follow; or decoded tokens. */
export type TextEvent = { read: number; more?: boolean } | { steps: number };

/** Attention's output of an event in a layer, or of a step. */
export interface TextState {
  /** `[layer][tokens · heads · headDim]` */
  outputs: Float32Array[];
  /** `[layer][kvHead]`; null within a read, where what no later query sees may be dropped or not. */
  entries: HeadEntries[][] | null;
}

/** Queries, keys and values of tokens from `first` on in a layer. */
export type ProjectionOf = (layer: number, first: number, tokens: number) => Projected;

/** Runs events on the host. */
export function runOnHost(
  text: TextCase,
  events: readonly TextEvent[],
  projectionOf: ProjectionOf,
): TextState[] {
  const { config, policy } = text;
  const { layers, heads, kvHeads, headDim, slidingWindow } = config;
  const cache = new KvCache({
    layers,
    queryHeads: heads,
    kvHeads,
    headDim,
    attentionWindow: slidingWindow,
    promptTokens: firstReadOf(events),
    maxNewTokens: 8,
    seed: text.seed,
    stream: text.stream,
    policies: () => policy,
  });
  const states: TextState[] = [];
  const state = (outputs: Float32Array[], isEnd: boolean): void => {
    const entries = cache.layers.map((layer) =>
      Array.from({ length: kvHeads }, (_, head) => {
        const { positions, scores, length } = layer.view(head);
        const slots = Array.from({ length }, (__, slot) => slot).sort(
          (a, b) => positions[a]! - positions[b]!,
        );
        return {
          positions: slots.map((slot) => positions[slot]!),
          scores: slots.map((slot) => scores[slot]!),
        };
      }),
    );
    states.push({ outputs, entries: isEnd ? entries : null });
  };
  let seen = 0;
  for (const { tokens, isStep, isEnd, readTokens } of piecesOf(events)) {
    if (!isStep) cache.expect(readTokens);
    const outputs: Float32Array[] = [];
    for (let layer = 0; layer < layers; layer++) {
      outputs.push(attend(config, layer, cache.layers[layer]!, projectionOf(layer, seen, tokens), tokens));
      if (isStep) cache.endDecode(layer);
      else if (isEnd) cache.endPrefill(layer);
    }
    seen += tokens;
    state(outputs, isEnd);
  }
  return states;
}

function firstReadOf(events: readonly TextEvent[]): number {
  let tokens = 0;
  for (const event of events) {
    if (!("read" in event)) break;
    tokens += event.read;
    if (!event.more) break;
  }
  return tokens;
}

/** Events one after another, steps one by one; `readTokens` are those of the text at the end of a read. */
export function* piecesOf(events: readonly TextEvent[]) {
  let seen = 0;
  for (const [i, event] of events.entries()) {
    if ("steps" in event) {
      for (let step = 0; step < event.steps; step++)
        yield { tokens: 1, isStep: true, isEnd: true, readTokens: 0 };
      seen += event.steps;
      continue;
    }
    let readTokens = seen + event.read;
    for (let next = i; (events[next] as { more?: boolean }).more; next++) {
      readTokens += (events[next + 1] as { read: number }).read;
    }
    yield { tokens: event.read, isStep: false, isEnd: !event.more, readTokens };
    seen += event.read;
  }
}

/** Values of a tensor as its dtype holds them. */
function rounded(values: Float32Array, dtype: KvModel["dtype"]): Float32Array {
  return dtype === "float32" ? values : decodeHalf(dtype, encodeHalf(dtype, values) as Uint16Array);
}

/** Values of a text, spread as a trained head's: the same for every target and piece. */
export function projectionsOf(text: TextCase, seed: number, spread: number): ProjectionOf {
  const { heads, kvHeads, headDim } = text.config;
  const values = (
    layer: number,
    kind: number,
    first: number,
    tokens: number,
    width: number,
  ): Float32Array => {
    const out = new Float32Array(tokens * width);
    for (let i = 0; i < out.length; i++) {
      let word = Math.imul(seed + 1, 0x9e3779b1);
      for (const part of [layer, kind, first * width + i]) {
        word = Math.imul(word ^ (part + 0x7f4a7c15), 0x85ebca6b);
        word ^= word >>> 15;
        word = Math.imul(word, 0xc2b2ae35);
        word ^= word >>> 13;
      }
      out[i] = ((word >>> 0) / 2 ** 32 - 0.5) * spread;
    }
    return rounded(out, text.dtype);
  };
  return (layer, first, tokens) => ({
    q: values(layer, 0, first, tokens, heads * headDim),
    k: values(layer, 1, first, tokens, kvHeads * headDim),
    v: values(layer, 2, first, tokens, kvHeads * headDim),
  });
}
