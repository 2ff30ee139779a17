/**
 * @file The dense part of a model as compiled programs: everything but attention, a program for what lies between
 * two attentions, so that a pass costs `layers + 1` runs however many sequences are in it.
 *
 * Rows of all sequences of a pass go through the programs together. A program exists for each size of {@link SIZES} and is
 * compiled when a pass first needs it; a pass takes the largest sizes that it fills and then the smallest that holds
 * the rest, so padding is rows of whatever was there, which nobody reads. Matrices that multiply the same rows are one.
 * Few rows are a {@link RowProgram}, many a program of the `cpu` target; both read the same weights.
 */
import type { Program } from "../../engine/program.ts";
import { CpuDevice, type ThreadPool } from "../../engine/targets/cpu/index.ts";
import { trace, type Graph } from "../../engine/graph/graph.ts";
import { stateElements } from "../load/stateElements.ts";
import type { ModelFiles } from "../load/weights.ts";
import type { Decoder, DecoderConfig } from "../models/decoder.ts";
import { decoderOf } from "../models/models.ts";
import { RowProgram } from "./rowProgram.ts";
import { MOST_ROWS, SharedWeights } from "./sharedWeights.ts";

/** Rows that programs are compiled for, ascending. */
const SIZES = [1, 2, 3, 4, 5, 6, 7, 8, 16, 32, 64, 256] as const;

/** The rows of one pass, in memory shared with the threads that compute: `[rows, …]`, with room for padding. */
export interface Rows {
  readonly count: number;
  /** `[rows, width]` */
  readonly hidden: Float32Array;
  /** `[rows, heads · headDim]` */
  readonly q: Float32Array;
  /** `[rows, kvHeads · headDim]` */
  readonly k: Float32Array;
  /** `[rows, kvHeads · headDim]` */
  readonly v: Float32Array;
  /** What attention gave, `[rows, heads · headDim]`. */
  readonly attended: Float32Array;
}

/** How a model is opened. */
export interface DecoderOptions {
  /** Threads that compute. Defaults to the cores. */
  threads?: number;
  /** Threads that multiply few rows; without them all products are ONNX Runtime's. */
  pool?: ThreadPool;
  /** Receives tensors loaded so far, and in all. */
  onProgress?: (done: number, total: number, unit: "tensors") => void;
}

/** Rows that a pass is cut into. */
function blockSizes(rows: number): number[] {
  const blocks: number[] = [];
  for (let left = rows; left > 0; left -= blocks.at(-1)!) {
    // A block that is mostly padding costs more than two that are not.
    const holding = SIZES.find((size) => size >= left);
    const filled = SIZES.findLast((size) => size <= left)!;
    blocks.push(holding !== undefined && holding < 2 * left && holding <= filled * 2 ? holding : filled);
  }
  return blocks;
}

/** The dense part of one model on the `cpu` target. */
export class DenseDecoder {
  readonly config: DecoderConfig;
  readonly #decoder: Decoder;
  readonly #device: CpuDevice;
  readonly #weights: SharedWeights | null;
  readonly #programs = new Map<string, Promise<Program>>();
  readonly #rowPrograms = new Map<string, RowProgram | null>();
  readonly #held = new Map<string, Float32Array>();

  private constructor(decoder: Decoder, device: CpuDevice, weights: SharedWeights | null) {
    this.config = decoder.config;
    this.#decoder = decoder;
    this.#device = device;
    this.#weights = weights;
  }

  /** Loads the weights and compiles what a token needs. The files may be closed afterwards. */
  static async open(
    files: ModelFiles,
    { threads, pool, onProgress }: DecoderOptions = {},
  ): Promise<DenseDecoder> {
    const decoder = decoderOf(files.config, { isMerged: true });
    const weights = pool ? SharedWeights.create(decoder.states, pool) : null;
    const device = new CpuDevice(threads === undefined ? {} : { threads });
    try {
      let done = 0;
      for (const [name, source] of decoder.states) {
        const values = await stateElements(files, source, "float32");
        const spec = { shape: source.shape, dtype: "float32" } as const;
        if (weights) {
          weights.get(name).set(values);
          await device.shareState(name, spec, weights.get(name));
        } else {
          await device.createState(name, spec, values);
        }
        onProgress?.(++done, decoder.states.size, "tensors");
      }
      const dense = new DenseDecoder(decoder, device, weights);
      for (let before = 0; before <= dense.config.layers; before++) await dense.#prepareOne(before, 1);
      return dense;
    } catch (error) {
      await device.dispose();
      weights?.dispose();
      throw error;
    }
  }

  /** Compiles what passes of so many rows, and logits of so many of them, need. */
  async prepare(rows: number, wanted: number): Promise<void> {
    const { layers } = this.config;
    for (const size of new Set(blockSizes(rows)))
      for (let before = 0; before < layers; before++) await this.#prepareOne(before, size);
    for (const size of new Set(blockSizes(wanted))) await this.#prepareOne(layers, size);
  }

  /** Shapes of the arrays of {@link Rows}, with padding. */
  rowsShape(count: number): { rows: number; hidden: number; q: number; k: number } {
    const { hiddenSize, heads, kvHeads, headDim } = this.config;
    const rows = blockSizes(count).reduce((sum, size) => sum + size, 0);
    return { rows, hidden: hiddenSize, q: heads * headDim, k: kvHeads * headDim };
  }

  /** From tokens to the first layer's queries, keys and values. @param positions those of learned embeddings */
  async begin(rows: Rows, tokens: readonly number[], positions: readonly number[]): Promise<void> {
    const padded = this.rowsShape(rows.count).rows;
    const feeds = { tokens: new Int32Array(padded), positions: new Int32Array(padded) };
    feeds.tokens.set(tokens);
    feeds.positions.set(positions);
    const { hidden, q, k, v } = rows;
    await this.#run(0, rows.count, feeds, { hidden, q, k, v });
  }

  /** From a layer's attention to the queries, keys and values of the next one. */
  async between(layer: number, { count, hidden, q, k, v, attended }: Rows): Promise<void> {
    await this.#run(layer + 1, count, { hidden, attended }, { hidden, q, k, v });
  }

  /** From the last layer's attention to logits of some rows, `[wanted, vocabulary]`. */
  async end({ hidden, attended }: Rows, wanted: readonly number[]): Promise<Float32Array> {
    const { layers, vocabSize } = this.config;
    const shape = this.rowsShape(wanted.length);
    const chosen = {
      hidden: this.#shared("hidden", shape.rows * shape.hidden),
      attended: this.#shared("attended", shape.rows * shape.q),
    };
    for (const [to, row] of wanted.entries()) {
      chosen.hidden.set(hidden.subarray(row * shape.hidden, (row + 1) * shape.hidden), to * shape.hidden);
      chosen.attended.set(attended.subarray(row * shape.q, (row + 1) * shape.q), to * shape.q);
    }
    const logits = this.#shared("logits", shape.rows * vocabSize);
    await this.#run(layers, wanted.length, chosen, { logits });
    return logits.slice(0, wanted.length * vocabSize);
  }

  /** An array that threads share, used again by the next call. */
  #shared(name: string, length: number): Float32Array {
    let held = this.#held.get(name);
    if (!held || held.length < length) {
      held = new Float32Array(new SharedArrayBuffer(4 * length));
      this.#held.set(name, held);
    }
    return held.subarray(0, length);
  }

  /** Frees the device; the decoder cannot be used afterwards. */
  async dispose(): Promise<void> {
    await this.#device.dispose();
    this.#weights?.dispose();
  }

  /** Runs program `before` over rows, block after block. Arrays have room for the padding of the last one. */
  async #run(
    before: number,
    count: number,
    feeds: Record<string, Float32Array | Int32Array>,
    into: Record<string, Float32Array>,
  ): Promise<void> {
    const blocks = blockSizes(count);
    const padded = blocks.reduce((sum, size) => sum + size, 0);
    let start = 0;
    for (const size of blocks) {
      const part = <T extends Float32Array | Int32Array>(arrays: Record<string, T>) =>
        Object.fromEntries(
          Object.entries(arrays).map(([name, array]) => {
            const width = array.length / padded;
            return [name, array.subarray(start * width, (start + size) * width)];
          }),
        );
      const few = this.#rowProgram(before, size);
      if (few) few.run(part(feeds), part(into));
      else await (await this.#program(before, size)).run(part(feeds), part(into));
      start += size;
    }
  }

  /** Compiles what some rows need. */
  async #prepareOne(before: number, rows: number): Promise<void> {
    if (!this.#rowProgram(before, rows)) await this.#program(before, rows);
  }

  /** Null for many rows, and where few ones are left to ONNX Runtime as well. */
  #rowProgram(before: number, rows: number): RowProgram | null {
    if (!this.#weights || rows > MOST_ROWS) return null;
    const key = `${before}/${rows}`;
    let made = this.#rowPrograms.get(key);
    if (made === undefined) {
      made = RowProgram.compile(this.#graph(before, rows), this.#weights);
      this.#rowPrograms.set(key, made);
    }
    return made;
  }

  #program(before: number, rows: number): Promise<Program> {
    const key = `${before}/${rows}`;
    const known = this.#programs.get(key);
    if (known) return known;
    const made = this.#device.compile(this.#graph(before, rows));
    this.#programs.set(key, made);
    return made;
  }

  /** What lies before the attention of layer `before`, or behind the last one. */
  #graph(before: number, rows: number): Graph {
    const { layers, hiddenSize, heads, headDim } = this.config;
    const decoder = this.#decoder;
    if (before === 0) {
      const ids = { shape: [rows], dtype: "int32" } as const;
      return trace({ tokens: ids, positions: ids }, ({ tokens, positions }) => {
        const hidden = decoder.embed(tokens, positions);
        return { outputs: { hidden, ...decoder.project(0, hidden) } };
      });
    }
    const inputs = {
      hidden: { shape: [rows, hiddenSize], dtype: "float32" },
      attended: { shape: [rows, heads * headDim], dtype: "float32" },
    } as const;
    return trace(inputs, ({ hidden, attended }) => {
      const next = decoder.finish(before - 1, hidden, attended);
      if (before === layers) return { outputs: { logits: decoder.head(next) } };
      return { outputs: { hidden: next, ...decoder.project(before, next) } };
    });
  }
}
