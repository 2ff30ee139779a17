/** @file Attention of a prompt to itself on a GPU, by the engine's kernel: a program for each number of rows. */
import { trace } from "../../engine/graph/graph.ts";
import { attention } from "../../engine/graph/ops/composite/attention.ts";
import { reshape, transpose } from "../../engine/graph/ops/movement.ts";
import type { CudaDevice, CudaProgram } from "../../engine/targets/cuda/index.ts";
import type { Decoder } from "../models/decoder.ts";
import type { PrefillSizes } from "./calls/prefillCalls.ts";

/** Addresses of a prompt's attention. */
export interface AttentionPlaces {
  /** `[heads, rows, headDim]`, turned. */
  q: number;
  /** `[kvHeads, rows, headDim]`, turned. */
  k: number;
  v: number;
  /** Room for an int32. */
  length: number;
  /** {@link PrefillAttention.arenaBytes} */
  arena: number;
  /** `[rows, heads · headDim]` */
  out: number;
}

/** The programs of one model. */
export class PrefillAttention {
  readonly #device: CudaDevice;
  readonly #decoder: Decoder;
  readonly #programs = new Map<string, CudaProgram>();

  constructor(device: CudaDevice, decoder: Decoder) {
    this.#device = device;
    this.#decoder = decoder;
  }

  /** Bytes of scratch memory that any of the programs needs. */
  get arenaBytes(): number {
    return Math.max(0, ...[...this.#programs.values()].map(({ arenaBytes }) => arenaBytes));
  }

  /** Compiles attention over so many rows, in every layer. */
  async compile(rows: number): Promise<void> {
    const { config } = this.#decoder;
    for (let layer = 0; layer < config.layers; layer++) {
      const key = this.#key(rows, layer);
      if (!this.#programs.has(key)) this.#programs.set(key, await this.#program(rows, layer));
    }
  }

  /** Queues a layer's attention; rows behind the read's own are padding. */
  queue({ rows, queryStride, layer }: PrefillSizes, { q, k, v, length, arena, out }: AttentionPlaces): void {
    this.#device.stream.copyToDevice(length, Int32Array.of(rows), 4);
    this.#programs.get(this.#key(queryStride, layer))!.queue({
      arena,
      inputs: { q, k, v, length },
      outputs: { attended: out },
      state: () => 0,
    });
  }

  dispose(): void {
    for (const program of this.#programs.values()) program.release();
    this.#programs.clear();
  }

  #key(rows: number, layer: number): string {
    const { attentionScale, slidingWindow } = this.#decoder.config;
    return `${rows} ${attentionScale(layer)} ${slidingWindow(layer)}`;
  }

  #program(rows: number, layer: number): Promise<CudaProgram> {
    const { config, dtype } = this.#decoder;
    const { heads, kvHeads, headDim, alibiSlopes } = config;
    const window = config.slidingWindow(layer);
    const keys = { shape: [1, kvHeads, rows, headDim], dtype } as const;
    const inputs = {
      q: { shape: [1, heads, rows, headDim], dtype },
      k: keys,
      v: keys,
      length: { shape: [1], dtype: "int32" },
    } as const;
    const graph = trace(inputs, ({ q, k, v, length }) => {
      const out = attention(q, k, v, {
        causal: true,
        scale: config.attentionScale(layer),
        lengths: length,
        ...(window !== null && { window }),
        ...(alibiSlopes && { alibiSlopes }),
      });
      return { outputs: { attended: reshape(transpose(out, [0, 2, 1, 3]), [rows, heads * headDim]) } };
    });
    return this.#device.compile(graph, { isQueued: true });
  }
}
