/**
 * @file Runs a language model on the host: products of the rows of all sequences of a call together, on the `cpu` target
 * or, of few rows, by kernels that stream the weights; and attention over each sequence's cache by kernels. Rows and caches
 * lie in one memory of at most 4 GiB.
 *
 * A layer evicts as soon as it has attended to a whole read, so at any time one layer alone holds all of it. When a
 * call fails, the sequences in it are gone: begin again.
 */
import { availableParallelism } from "node:os";
import { HeapKernels } from "../../engine/targets/cpu/index.ts";
import type { CacheMemory } from "../kv/cacheMemory.ts";
import { requireLogits } from "../generate/logits.ts";
import { chooseTokens, type Sampler } from "../generate/sampler.ts";
import { KvCache } from "../kv/kvCache.ts";
import type { ModelFiles } from "../load/weights.ts";
import type { DecoderConfig } from "../models/decoder.ts";
import type {
  LlmRunner,
  SequenceMemory,
  SequenceOptions,
  SequenceSnapshot,
  SequenceToken,
  SequenceTokens,
} from "../runner/runner.ts";
import {
  requireBegun,
  requireFit,
  requireOnce,
  requirePrefill,
  requireSequence,
  requireSequenceOptions,
  requireDecode,
  requireWhole,
  type SequenceState,
} from "../runner/sequenceErrors.ts";
import { CacheAttention } from "./cacheAttention.ts";
import { type DecoderOptions, DenseDecoder, type Rows } from "./denseDecoder.ts";

/** How a runner is opened. */
export interface CpuRunnerOptions extends DecoderOptions {
  /** Sequences held at a time. Defaults to 1. */
  maxSequences?: number;
}

/** A cache, and how many sequences hold it: it is copied before one of several writes. */
interface Text {
  cache: KvCache;
  holders: number;
  tokensSeen: number;
  /** A piece of a prompt or turn was read and more is to come. */
  isPartial: boolean;
}

interface Sequence {
  options: SequenceOptions;
  text: Text | null;
}

/** What one sequence brings to a pass. */
interface Part {
  sequence: number;
  text: Text;
  tokens: readonly number[];
  /** Its first row. */
  row: number;
  end: "prompt" | "step" | "none";
}

/** A model on the host. */
export class CpuRunner implements LlmRunner {
  readonly config: DecoderConfig;
  readonly device = "cpu";
  readonly dtype = "f32";
  readonly maxSequences: number;
  readonly #dense: DenseDecoder;
  readonly #kernels: HeapKernels;
  readonly #attention: CacheAttention;
  readonly #memory: CacheMemory;
  readonly #sequences: (Sequence | null)[];

  private constructor(dense: DenseDecoder, kernels: HeapKernels, sequences: number) {
    this.config = dense.config;
    this.maxSequences = sequences;
    this.#dense = dense;
    this.#kernels = kernels;
    this.#attention = new CacheAttention(dense.config, kernels);
    const { heap } = kernels;
    this.#memory = {
      allocate: (bytes) => {
        const byteOffset = heap.allocate(bytes);
        return { buffer: heap.memory.buffer, byteOffset };
      },
      free: ({ byteOffset }) => heap.free(byteOffset),
    };
    this.#sequences = Array.from({ length: sequences }, () => null);
  }

  /** Loads a model in float32. */
  static async open(
    files: ModelFiles,
    { maxSequences = 1, ...options }: CpuRunnerOptions = {},
  ): Promise<CpuRunner> {
    const kernels = await HeapKernels.create(options.threads ?? availableParallelism());
    return new CpuRunner(
      await DenseDecoder.open(files, { ...options, pool: kernels.pool }),
      kernels,
      maxSequences,
    );
  }

  async prepare(...prompts: readonly number[]): Promise<void> {
    await this.#dense.prepare(
      prompts.reduce((sum, tokens) => sum + tokens, 0),
      prompts.length,
    );
    await this.#dense.prepare(this.maxSequences, this.maxSequences);
  }

  begin(sequence: number, options: SequenceOptions): void {
    this.release(sequence);
    requireSequenceOptions(options);
    this.#sequences[sequence] = { options, text: null };
  }

  async prefill(texts: readonly SequenceTokens[]): Promise<Float32Array> {
    const parts: Part[] = [];
    let row = 0;
    requireOnce(texts);
    for (const text of texts) requirePrefill(this.config, this.#state(text.sequence), text);
    for (const { sequence, tokens, more = false } of texts) {
      const text = this.#writable(sequence, tokens.length);
      const { promptTokens = 0 } = this.#sequence(sequence).options;
      const isFirst = text.cache.layers[0]!.decodedTokens === 0 && text.cache.stats.evictedEntries === 0;
      text.cache.expect(Math.max(text.tokensSeen + tokens.length, isFirst && more ? promptTokens : 0));
      text.isPartial = more;
      parts.push({ sequence, text, tokens, row, end: more ? "none" : "prompt" });
      row += tokens.length;
    }
    return this.#pass(parts, row);
  }

  async decode(tokens: readonly SequenceToken[]): Promise<Float32Array> {
    requireOnce(tokens);
    for (const { sequence, token } of tokens) requireDecode(this.config, this.#state(sequence), token);
    const parts = tokens.map(({ sequence, token }, row): Part => {
      return { sequence, text: this.#writable(sequence, 1), tokens: [token], row, end: "step" };
    });
    return this.#pass(parts, parts.length);
  }

  async decodeTokens(tokens: readonly SequenceToken[], samplers?: readonly Sampler[]): Promise<Int32Array> {
    return chooseTokens(await this.decode(tokens), this.config.vocabSize, samplers);
  }

  async fork(from: number, to: number): Promise<void> {
    const source = this.#sequence(from);
    if (from === to) return;
    this.release(to);
    if (source.text) source.text.holders++;
    this.#sequences[to] = { ...source };
  }

  async snapshot(sequence: number): Promise<SequenceSnapshot> {
    requireWhole(this.#state(sequence));
    const { cache } = this.#sequence(sequence).text!;
    const { tokensSeen, promptTokens, decodedTokens } = cache.layers[0]!;
    const layers = cache.layers.map((layer) => layer.snapshot());
    return { tokensSeen, promptTokens, decodedTokens, layers };
  }

  async restore(sequence: number, snapshot: SequenceSnapshot): Promise<void> {
    const held = this.#sequence(sequence);
    requireFit(this.config, snapshot);
    this.#drop(held);
    const cache = this.#newCache(held.options, snapshot.promptTokens);
    for (const [i, layer] of cache.layers.entries()) layer.restore(snapshot.layers[i]!, snapshot);
    held.text = { cache, holders: 1, tokensSeen: snapshot.tokensSeen, isPartial: false };
  }

  release(sequence: number): void {
    requireSequence(sequence, this.maxSequences);
    const held = this.#sequences[sequence];
    if (held) this.#drop(held);
    this.#sequences[sequence] = null;
  }

  memory(sequence: number): SequenceMemory {
    requireSequence(sequence, this.maxSequences);
    const { layers, kvHeads, headDim } = this.config;
    const text = this.#sequences[sequence]?.text;
    const stats = text?.cache.stats;
    const tokensSeen = text?.tokensSeen ?? 0;
    return {
      kvBytes: stats?.kvBytes ?? 0,
      bookkeepingBytes: stats?.bookkeepingBytes ?? 0,
      fullKvBytes: tokensSeen * layers * kvHeads * headDim * 2 * Float32Array.BYTES_PER_ELEMENT,
      evictedTokens: (stats?.evictedEntries ?? 0) / (layers * kvHeads),
      tokensSeen,
    };
  }

  async dispose(): Promise<void> {
    for (let sequence = 0; sequence < this.maxSequences; sequence++) this.release(sequence);
    await this.#kernels.dispose();
    await this.#dense.dispose();
  }

  /** All layers over the rows of some sequences. @returns logits after each sequence's last row */
  async #pass(parts: readonly Part[], count: number): Promise<Float32Array> {
    // A step never waits for another thread's message: signals and timers get their turn here.
    await new Promise((resolve) => setImmediate(resolve));
    const blocks: number[] = [];
    try {
      const rows = this.#rows(count, blocks);
      const tokens = parts.flatMap((part) => [...part.tokens]);
      const positions = parts.flatMap(({ text, tokens: own }) => {
        const first = text.cache.layers[0]!.nextPosition(0);
        return own.map((_, i) => first + i);
      });
      await this.#dense.begin(rows, tokens, positions);
      for (let layer = 0; ; layer++) {
        const texts = parts.map(({ text, row, tokens: own, end }) => {
          return { cache: text.cache.layers[layer]!, row, tokens: own.length, isDecoded: end === "step" };
        });
        await this.#attention.run(layer, rows, texts);
        for (const { text, end } of parts) {
          if (end === "prompt") text.cache.endPrefill(layer);
          else if (end === "step") text.cache.endDecode(layer);
        }
        if (layer + 1 === this.config.layers) break;
        await this.#dense.between(layer, rows);
      }
      for (const { text, tokens: own } of parts) text.tokensSeen += own.length;
      const last = parts.map(({ row, tokens: own }) => row + own.length - 1);
      const logits = await this.#dense.end(rows, last);
      requireLogits(logits, this.config.vocabSize);
      return logits;
    } catch (error) {
      for (const { sequence } of parts) this.release(sequence);
      throw error;
    } finally {
      for (const block of blocks) this.#kernels.heap.free(block);
    }
  }

  /** Rows of one pass; `blocks` receives what is to be freed after it. */
  #rows(count: number, blocks: number[]): Rows {
    const { heap } = this.#kernels;
    const { rows, hidden, q, k } = this.#dense.rowsShape(count);
    const array = (width: number) => {
      const pointer = heap.allocate(4 * rows * width);
      blocks.push(pointer);
      return heap.float32At(pointer, rows * width);
    };
    return { count, hidden: array(hidden), q: array(q), k: array(k), v: array(k), attended: array(q) };
  }

  /** What a sequence holds, its own to write to. */
  #writable(sequence: number, tokens: number): Text {
    const held = this.#sequence(sequence);
    const { text } = held;
    if (!text) {
      const cache = this.#newCache(held.options, held.options.promptTokens ?? tokens);
      held.text = { cache, holders: 1, tokensSeen: 0, isPartial: false };
    } else if (text.holders > 1) {
      text.holders--;
      held.text = { ...text, cache: text.cache.clone(), holders: 1 };
    }
    return held.text!;
  }

  #newCache(
    { policies, maxNewTokens, seed = 0, stream = 0, onDecision }: SequenceOptions,
    promptTokens: number,
  ): KvCache {
    const { layers, heads, kvHeads, headDim, slidingWindow } = this.config;
    return new KvCache({
      layers,
      queryHeads: heads,
      kvHeads,
      headDim,
      attentionWindow: slidingWindow,
      promptTokens,
      maxNewTokens,
      seed,
      stream,
      policies,
      memory: this.#memory,
      ...(onDecision && { onDecision }),
    });
  }

  #drop(held: Sequence): void {
    if (held.text && --held.text.holders === 0) held.text.cache.dispose();
    held.text = null;
  }

  #sequence(sequence: number): Sequence {
    requireSequence(sequence, this.maxSequences);
    return requireBegun(this.#sequences[sequence], sequence);
  }

  #state(sequence: number): SequenceState {
    const { options, text } = this.#sequence(sequence);
    return {
      options,
      isRenumbered: options.policies(0).positions === "new",
      nextPosition: text?.cache.layers[0]!.nextPosition(0) ?? 0,
      hasPrompt: text !== null,
      isPartial: text?.isPartial ?? false,
    };
  }
}
