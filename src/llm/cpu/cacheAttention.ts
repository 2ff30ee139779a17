/**
 * @file A model's attention over the caches of some sequences, by kernels: they turn queries and keys, put keys and values
 * into the cache, attend, and score what the policy asks for. The output never sees a score: noise and temperature
 * belong to the policy alone.
 *
 * A token that is decoded is one task for each KV head. A read is attended to in blocks of rows, whose sums of scores
 * are exact in any order (`assembly/cacheAttention.ts`), so neither threads nor pieces change them. Beside the output
 * it takes memory for a few rows of logits for each task, never for a matrix of queries by keys.
 */
import { ParetoError } from "../../base/errors.ts";
import { type HeapKernels, type HeapTask, KernelFailure } from "../../engine/targets/cpu/index.ts";
import type { LayerCache } from "../kv/layerCache.ts";
import type { DecoderConfig } from "../models/decoder.ts";
import { AngleTable } from "./angleTable.ts";
import { noiseNumber, VIEW_WORDS, writeView } from "./cacheView.ts";
import type { Rows } from "./denseDecoder.ts";

/** What one sequence brings to a layer. */
export interface TextRows {
  cache: LayerCache;
  /** Its first row. */
  row: number;
  tokens: number;
  /** Its one token is decoded, else read. */
  isDecoded: boolean;
}

/** A sequence in the kernels' memory. */
interface Placed extends TextRows {
  view: number;
  /** Position of the first token. */
  first: number;
  /** Position of the first query that is scored. */
  firstScored: number;
  turnsKeys: boolean;
}

/** A task of `attendRows` that leaves sums of scores. */
interface Summed {
  cache: LayerCache;
  kvHead: number;
  pointer: number;
}

/** A task of a sequence, for whoever explains its failure. */
interface TaskOf {
  text: Placed;
  kvHead: number;
}

/** Fewest rows that are a task of their own. */
const FEWEST_ROWS = 16;
/** Multiplications that noise, exponentials and sums of one score are worth. */
const SCORE_WORK = 64;
/** No query's position is beyond this. */
const NEVER = 0x7fffffff;

/** Attention over the caches of a model's sequences. */
export class CacheAttention {
  readonly #config: DecoderConfig;
  readonly #kernels: HeapKernels;
  readonly #angles: AngleTable | null;
  readonly #slopes: number;
  /** Blocks to be freed when a layer is done. */
  #blocks: number[] = [];

  constructor(config: DecoderConfig, kernels: HeapKernels) {
    const { rotary, alibiSlopes } = config;
    const { heap } = kernels;
    this.#config = config;
    this.#kernels = kernels;
    this.#angles = rotary ? new AngleTable(heap, rotary) : null;
    this.#slopes = alibiSlopes ? heap.allocate(4 * alibiSlopes.length) : 0;
    if (alibiSlopes) heap.float32At(this.#slopes, alibiSlopes.length).set(alibiSlopes);
  }

  /**
   * Appends the rows of some sequences to their caches of a layer and attends, into `rows.attended`.
   * @param rows in the kernels' heap; queries are turned in place
   * @throws ParetoError KV_LOGITS_NOT_FINITE
   */
  async run(layer: number, rows: Rows, texts: readonly TextRows[]): Promise<void> {
    try {
      const placed = texts.map((text) => this.#place(layer, rows, text));
      await this.#decode(
        layer,
        placed.filter(({ isDecoded }) => isDecoded),
      );
      await this.#read(
        layer,
        placed.filter(({ isDecoded }) => !isDecoded),
      );
    } finally {
      for (const block of this.#blocks.splice(0)) this.#kernels.heap.free(block);
      this.#angles?.sweep();
    }
  }

  async #decode(layer: number, texts: readonly Placed[]): Promise<void> {
    const { heads, kvHeads } = this.#config;
    const tasks: HeapTask[] = [];
    const owners: TaskOf[] = [];
    let work = 0;
    for (const text of texts) {
      for (let kvHead = 0; kvHead < kvHeads; kvHead++) {
        const slots = text.cache.length(kvHead) + 8;
        const scratch = this.#take(32 * slots + 32);
        tasks.push({ kernel: "decodeToken", arguments: [text.view, kvHead, scratch] });
        owners.push({ text, kvHead });
        work += this.#work(text, (heads / kvHeads) * slots);
      }
    }
    await this.#kernelRun(layer, tasks, work, owners);
  }

  async #read(layer: number, texts: readonly Placed[]): Promise<void> {
    if (texts.length === 0) return;
    const { heads, kvHeads, headDim } = this.#config;
    const placing: HeapTask[] = [];
    const turning: HeapTask[] = [];
    const attending: HeapTask[] = [];
    const owners: TaskOf[] = [];
    const summed: Summed[] = [];
    let work = 0;
    let placeWork = 0;
    for (const text of texts) {
      const { cache, tokens, view, first, firstScored } = text;
      placeWork += tokens * (heads + 2 * kvHeads) * headDim;
      for (let kvHead = 0; kvHead < kvHeads; kvHead++) {
        const length = cache.length(kvHead);
        placing.push({ kernel: "placeRows", arguments: [view, kvHead, 0, tokens] });
        if (text.turnsKeys) turning.push({ kernel: "turnKeys", arguments: [view, kvHead, 0, length] });
        for (const [from, to] of this.#blocksOf(tokens, length - tokens)) {
          const scratch = this.#take(24 * (length + 8) + 32);
          let sums = 0;
          if (first + to > firstScored) {
            sums = this.#take(8 * (length + 8));
            this.#kernels.heap.float64At(sums, length + 8).fill(0);
            summed.push({ cache, kvHead, pointer: sums });
          }
          attending.push({ kernel: "attendRows", arguments: [view, kvHead, from, to, scratch, sums] });
          owners.push({ text, kvHead });
        }
        work += this.#work(text, (heads / kvHeads) * tokens * (length - tokens / 2));
      }
    }
    await this.#kernels.run(placing, placeWork);
    await this.#kernels.run(turning, work);
    await this.#kernelRun(layer, attending, work, owners);
    for (const { cache, kvHead, pointer } of summed) {
      const sums = cache.prefillSums(kvHead);
      const part = this.#kernels.heap.float64At(pointer, cache.length(kvHead));
      for (let slot = 0; slot < part.length; slot++) sums[slot]! += part[slot]!;
    }
  }

  /** Rows of equal work, of which the later ones see more. */
  #blocksOf(tokens: number, before: number): [from: number, to: number][] {
    const wanted = Math.ceil((4 * this.#kernels.threads) / this.#config.kvHeads);
    const count = Math.max(1, Math.min(wanted, Math.floor(tokens / FEWEST_ROWS)));
    const all = before * tokens + tokens ** 2 / 2;
    const ends = Array.from({ length: count }, (_, i) => {
      const area = (all * (i + 1)) / count;
      return i === count - 1 ? tokens : Math.round(Math.sqrt(before ** 2 + 2 * area) - before);
    });
    return ends.map((to, i): [number, number] => [ends[i - 1] ?? 0, to]).filter(([from, to]) => from < to);
  }

  /** Makes room in a sequence's cache and tells the kernels of it. */
  #place(layer: number, rows: Rows, text: TextRows): Placed {
    const { heads, kvHeads, headDim, rotary, slidingWindow, attentionScale } = this.#config;
    const { cache, row, tokens } = text;
    const part = (x: Float32Array, width: number) => x.subarray(row * width, (row + tokens) * width);
    const k = part(rows.k, kvHeads * headDim);
    const first = cache.tokensSeen;
    const isOrdered = cache.evicted === 0;
    cache.place(k, tokens);
    const { scoring } = cache.policy;
    const scored = cache.firstScored();
    const { places } = cache;
    const turnsKeys = rotary !== null && cache.policy.positions === "new";
    const keys = cache.keys.byteOffset;
    let longest = 0;
    for (let head = 0; head < kvHeads; head++) longest = Math.max(longest, cache.length(head));
    const angles = turnsKeys
      ? this.#angles!.at(0, longest, longest)
      : this.#angles?.at(first, tokens, first + tokens);
    const view = this.#take(4 * (VIEW_WORDS + kvHeads));
    const words = this.#kernels.heap.int32At(view, VIEW_WORDS + kvHeads);
    for (let head = 0; head < kvHeads; head++) words[VIEW_WORDS + head] = cache.length(head);
    const attention = scoring.from === "attention" ? scoring : null;
    const key = cache.noiseKey;
    writeView(words, {
      heads,
      kvHeads,
      headDim,
      capacity: cache.capacity,
      lengths: view + 4 * VIEW_WORDS,
      keys,
      values: cache.values.byteOffset,
      positions: cache.positions.byteOffset,
      places: places.byteOffset,
      scores: cache.scores.byteOffset,
      turned: turnsKeys ? this.#take(cache.keys.byteLength) : keys,
      tokens,
      q: part(rows.q, heads * headDim).byteOffset,
      k: k.byteOffset,
      v: part(rows.v, kvHeads * headDim).byteOffset,
      attended: part(rows.attended, heads * headDim).byteOffset,
      first,
      isOrdered: Number(isOrdered),
      scale: attentionScale(layer),
      window: slidingWindow(layer) ?? 0,
      slopes: this.#slopes,
      rotaryDim: rotary?.dim ?? 0,
      isInterleaved: Number(rotary?.isInterleaved ?? false),
      angles: angles?.pointer ?? 0,
      anglesFrom: angles?.from ?? 0,
      firstScored: Math.min(scored, NEVER),
      noise: attention ? noiseNumber[attention.noise] : 0,
      isNoisePerKey: Number(attention?.noiseReuse === "per-key"),
      takesHighest: Number(attention?.groupReduce === "max"),
      damping: attention?.rows === "last" ? 0 : (attention?.damping ?? 1),
      share: attention?.groupReduce === "mean" ? kvHeads / heads : 1,
      temperature: attention?.temperature(cache.decodedTokens) ?? 1,
      seedLow: key.low,
      seedHigh: key.high,
      stream: key.stream,
      layer,
    });
    return { ...text, view, first, firstScored: scored, turnsKeys };
  }

  #work({ firstScored, turnsKeys }: Placed, products: number): number {
    const { headDim } = this.#config;
    const scoring = firstScored < NEVER ? SCORE_WORK : 0;
    return products * ((turnsKeys ? 4 : 2) * headDim + scoring);
  }

  /** Bytes until the layer is done. */
  #take(bytes: number): number {
    const pointer = this.#kernels.heap.allocate(bytes);
    this.#blocks.push(pointer);
    return pointer;
  }

  async #kernelRun(
    layer: number,
    tasks: readonly HeapTask[],
    work: number,
    owners: readonly TaskOf[],
  ): Promise<void> {
    try {
      await this.#kernels.run(tasks, work);
    } catch (error) {
      if (!(error instanceof KernelFailure) || error.code < 1) throw error;
      const { text, kvHead } = owners[error.task]!;
      const group = this.#config.heads / this.#config.kvHeads;
      const index = error.code - 1;
      throw new ParetoError({
        code: "KV_LOGITS_NOT_FINITE",
        where: `layer ${layer}, head ${kvHead * group + (index % group)}, query ${text.first + Math.floor(index / group)}`,
        message: "an attention logit must be a number below infinity, got a row with one that is not",
        fix: "Check the model's weights for values that overflow, or compute in float32.",
        cause: error,
      });
    }
  }
}
