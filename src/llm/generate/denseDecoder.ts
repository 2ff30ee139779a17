/**
 * @file The dense part of a model as compiled programs: everything but attention, a program for what lies between
 * two attentions, so that a token costs `layers + 1` runs.
 *
 * Each program exists for one row and for a block of {@link BLOCK_ROWS}; many rows run block after block, the last
 * one filled up with zeros. Blocks are compiled when a prompt first needs them.
 */
import type { Device, HostTensors, Program } from "../../engine/program.ts";
import { openDevice } from "../../engine/openDevice.ts";
import { trace, type Graph } from "../../engine/graph/graph.ts";
import type { ModelFiles } from "../load/weights.ts";
import type { Decoder, DecoderConfig } from "../models/decoder.ts";
import { decoderOf } from "../models/models.ts";

/** Rows of a prompt computed in one run. */
const BLOCK_ROWS = 64;

/** Rows before a layer's attention. */
export interface Block {
  /** `[rows, width]` */
  hidden: Float32Array;
  /** `[rows, heads · headDim]` */
  q: Float32Array;
  /** `[rows, kvHeads · headDim]` */
  k: Float32Array;
  /** `[rows, kvHeads · headDim]` */
  v: Float32Array;
}

/** How a model is opened. */
export interface DecoderOptions {
  /** Threads that compute. Defaults to the cores. */
  threads?: number;
  /** Told tensors loaded so far, and in all. */
  onProgress?: (done: number, total: number, unit: "tensors") => void;
}

/** The dense part of one model on the `cpu` target. */
export class DenseDecoder {
  readonly config: DecoderConfig;
  readonly #decoder: Decoder;
  readonly #device: Device;
  readonly #programs = new Map<string, Promise<Program>>();

  private constructor(decoder: Decoder, device: Device) {
    this.config = decoder.config;
    this.#decoder = decoder;
    this.#device = device;
  }

  /** Loads the weights and compiles what a token needs. The files may be closed afterwards. */
  static async open(files: ModelFiles, { threads, onProgress }: DecoderOptions = {}): Promise<DenseDecoder> {
    const decoder = decoderOf(files.config);
    const device = await openDevice("cpu", threads === undefined ? {} : { threads });
    try {
      let done = 0;
      for (const [name, shape] of decoder.tensors) {
        await device.createState(name, { shape, dtype: "float32" }, await files.read(name));
        onProgress?.(++done, decoder.tensors.size, "tensors");
      }
      const dense = new DenseDecoder(decoder, device);
      for (let before = 0; before <= dense.config.layers; before++) await dense.#program(before, 1);
      return dense;
    } catch (error) {
      await device.dispose();
      throw error;
    }
  }

  /** Compiles what a prompt of so many tokens needs, which its first run would do otherwise. */
  async prepare(promptTokens: number): Promise<void> {
    if (promptTokens === 1) return;
    for (let before = 0; before < this.config.layers; before++) await this.#program(before, BLOCK_ROWS);
  }

  /** From tokens to the first layer's attention. @param first position of the first token */
  async begin(tokens: readonly number[], first: number): Promise<Block> {
    return (await this.#run(0, tokens.length, {
      tokens: Int32Array.from(tokens),
      positions: Int32Array.from(tokens, (_, i) => first + i),
    })) as unknown as Block;
  }

  /** From a layer's attention to that of the next one. */
  async between(layer: number, hidden: Float32Array, attended: Float32Array): Promise<Block> {
    const rows = hidden.length / this.config.width;
    return (await this.#run(layer + 1, rows, { hidden, attended })) as unknown as Block;
  }

  /** From the last layer's attention to logits `[rows, vocabulary]`. */
  async end(hidden: Float32Array, attended: Float32Array): Promise<Float32Array> {
    const { layers, width } = this.config;
    const outputs = await this.#run(layers, hidden.length / width, { hidden, attended });
    return outputs["logits"] as Float32Array;
  }

  /** Frees the device; the decoder cannot be used afterwards. */
  async dispose(): Promise<void> {
    await this.#device.dispose();
  }

  /** Runs program `before` over rows, in blocks where there are many. */
  async #run(
    before: number,
    rows: number,
    feeds: Record<string, Float32Array | Int32Array>,
  ): Promise<HostTensors> {
    if (rows === 1) return (await this.#program(before, 1)).run(feeds);
    const program = await this.#program(before, BLOCK_ROWS);
    const outputs: HostTensors = {};
    for (let start = 0; start < rows; start += BLOCK_ROWS) {
      const count = Math.min(BLOCK_ROWS, rows - start);
      const block = Object.fromEntries(
        Object.entries(feeds).map(([name, array]) => {
          const width = array.length / rows;
          const part = array.slice(start * width, (start + count) * width);
          if (count === BLOCK_ROWS) return [name, part];
          const padded =
            array instanceof Int32Array ? new Int32Array(BLOCK_ROWS) : new Float32Array(BLOCK_ROWS * width);
          padded.set(part);
          return [name, padded];
        }),
      );
      for (const [name, array] of Object.entries(await program.run(block))) {
        const width = array.length / BLOCK_ROWS;
        outputs[name] ??= new Float32Array(rows * width);
        outputs[name].set(array.subarray(0, count * width), start * width);
      }
    }
    return outputs;
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
    const { layers, width, heads, headDim } = this.config;
    const decoder = this.#decoder;
    if (before === 0) {
      const ids = { shape: [rows], dtype: "int32" } as const;
      return trace({ tokens: ids, positions: ids }, ({ tokens, positions }) => {
        const hidden = decoder.embed(tokens, positions);
        return { outputs: { hidden, ...decoder.project(0, hidden) } };
      });
    }
    const inputs = {
      hidden: { shape: [rows, width], dtype: "float32" },
      attended: { shape: [rows, heads * headDim], dtype: "float32" },
    } as const;
    return trace(inputs, ({ hidden, attended }) => {
      const next = decoder.finish(before - 1, hidden, attended);
      if (before === layers) return { outputs: { logits: decoder.head(next) } };
      return { outputs: { hidden: next, ...decoder.project(before, next) } };
    });
  }
}
