/**
 * @file Cache policies under many options against an implementation of their rules of its own in Python
 * (`golden/llm/makeTraces.py`): what is kept and scored after prompts, decoded tokens and further turns.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  full,
  h2o,
  KvCache,
  keyformer,
  type KeyformerOptions,
  knorm,
  type KvPolicy,
  random,
  snapkv,
  streaming,
  tova,
  window as slidingWindow,
} from "../../../src/llm/index.ts";

const makers = { keyformer, h2o, tova, snapkv, window: slidingWindow, streaming, knorm, random };

interface HeadState {
  positions: number[];
  scores: number[];
}

interface Trace {
  kvHeads: number;
  group: number;
  /** 0 for none. */
  window: number;
  /** Numbers that logits are made of. */
  lattice: [number, number, number, number, number, number, modulus: number, hidden: number];
  scale: number;
  seed: number;
  stream: number;
  maxNewTokens: number;
  /** The prompt, and perhaps a further turn. */
  reads: { tokens: number; newTokens: number }[];
  /** What each layer's options change. */
  layers: (Partial<KeyformerOptions> | "full")[];
  policy: keyof typeof makers;
  options: KeyformerOptions;
  /** After each read, and after the tokens decoded behind it: by layer and head. */
  states: HeadState[][][];
}

const file = join(import.meta.dirname, "../../../golden/llm/traces.json");
const traces = JSON.parse(await readFile(file, "utf8")) as Trace[];

/** Float32 sums against float64 ones. */
const TOLERANCE = 2e-5;

function logitOf(trace: Trace, layer: number, head: number, query: number, key: number): number {
  const [a, b, c, d, e, f, modulus, hidden] = trace.lattice;
  if (hidden > 0 && key !== query && (5 * query + 3 * key + head) % hidden === 0) return -Infinity;
  if (trace.window > 0 && key <= query - trace.window) return -Infinity;
  return (
    ((a * query + b * key + c * query * key + d * head + e * layer + f * head * key) % modulus) * trace.scale
  );
}

/** Feeds a trace's text to a cache as a model would. */
class Drive {
  readonly #trace: Trace;
  readonly #cache: KvCache;
  #seen = 0;

  constructor(trace: Trace) {
    this.#trace = trace;
    const { kvHeads, group, window, seed, stream, maxNewTokens, reads, layers, policy, options } = trace;
    const policyOf = (layer: number): KvPolicy => {
      const own = layers[layer]!;
      return own === "full" ? full() : makers[policy]({ ...options, ...own });
    };
    this.#cache = new KvCache({
      layers: layers.length,
      queryHeads: kvHeads * group,
      kvHeads,
      headDim: 2,
      promptTokens: reads[0]!.tokens,
      maxNewTokens,
      seed,
      stream,
      policies: policyOf,
      ...(window > 0 && { attentionWindow: () => window }),
    });
  }

  read(tokens: number): void {
    if (this.#seen > 0) this.#cache.expect(this.#seen + tokens);
    for (const layer of this.#cache.layers.keys()) {
      this.#feed(layer, tokens);
      this.#cache.endPrefill(layer);
    }
    this.#seen += tokens;
  }

  step(): void {
    for (const layer of this.#cache.layers.keys()) {
      this.#feed(layer, 1);
      this.#cache.endDecode(layer);
    }
    this.#seen++;
  }

  /** Tokens of a layer with the rows of their queries. */
  #feed(layer: number, tokens: number): void {
    const { kvHeads, group, lattice } = this.#trace;
    const cache = this.#cache.layers[layer]!;
    const held = Array.from({ length: kvHeads }, (_, head) => cache.length(head));
    const keys = new Float32Array(tokens * kvHeads * 2);
    for (let token = 0; token < tokens; token++) {
      const position = this.#seen + token;
      for (let head = 0; head < kvHeads; head++) {
        const key = [
          ((7 * position + 3 * head + layer) % lattice[6]) * 0.25,
          ((5 * position + head) % 3) * 0.5,
        ];
        keys.set(key, (token * kvHeads + head) * 2);
      }
    }
    cache.append(keys, keys, tokens);
    for (let kvHead = 0; kvHead < kvHeads; kvHead++) {
      for (let token = 0; token < tokens; token++) {
        const queryPosition = this.#seen + token;
        if (!cache.wantsRow(queryPosition)) continue;
        const visible = held[kvHead]! + token + 1;
        const { positions } = cache.view(kvHead);
        const logits = Float64Array.from({ length: group * visible }, (_, i) => {
          const head = kvHead * group + Math.floor(i / visible);
          return logitOf(this.#trace, layer, head, queryPosition, positions[i % visible]!);
        });
        cache.addRow({ kvHead, queryPosition, logits, visible });
      }
    }
  }

  get state(): HeadState[][] {
    return this.#cache.layers.map((layer) =>
      Array.from({ length: this.#trace.kvHeads }, (_, head) => {
        const { length, positions, scores } = layer.view(head);
        const slots = Array.from({ length }, (_slot, slot) => slot);
        slots.sort((a, b) => positions[a]! - positions[b]!);
        return {
          positions: slots.map((slot) => positions[slot]!),
          scores: slots.map((slot) => scores[slot]!),
        };
      }),
    );
  }
}

function expectState(actual: HeadState[][], expected: HeadState[][]): void {
  const positionsOf = (state: HeadState[][]) => state.map((heads) => heads.map(({ positions }) => positions));
  expect(positionsOf(actual)).toEqual(positionsOf(expected));
  for (const [layer, heads] of expected.entries()) {
    for (const [head, { scores }] of heads.entries()) {
      for (const [at, score] of scores.entries()) {
        const error = Math.abs(actual[layer]![head]!.scores[at]! - score);
        expect(error).toBeLessThan(TOLERANCE * (1 + Math.abs(score)));
      }
    }
  }
}

test.each(traces.map((trace, i) => [i, trace.policy, trace] as const))(
  "trace %i, of %s, keeps and scores as its rules say",
  (_, _policy, trace) => {
    const drive = new Drive(trace);
    const expected = trace.states.values();
    for (const { tokens, newTokens } of trace.reads) {
      drive.read(tokens);
      expectState(drive.state, expected.next().value!);
      for (let step = 0; step < newTokens; step++) drive.step();
      expectState(drive.state, expected.next().value!);
    }
  },
);
