/**
 * @file The dense part of a model on a GPU: embedding, projections, what lies behind attention, the head. Each is one
 * program for a number of rows; all layers share it, with their own states, and all programs share one scratch memory.
 *
 * Rows are computed in blocks whose sizes are powers of two; the last block is filled up, so memory for rows must have
 * room for {@link roundedRows}. What lies in rows too many does not matter to the others.
 */
import { dtypeBytes } from "../../base/dtype.ts";
import { trace, type Graph } from "../../engine/graph/graph.ts";
import { abs, less, where } from "../../engine/graph/ops/elementwise.ts";
import { reshape, slice } from "../../engine/graph/ops/movement.ts";
import { scalarLike } from "../../engine/graph/ops/leaf.ts";
import { argmax } from "../../engine/graph/ops/reduce.ts";
import type { CudaDevice, CudaProgram, DeviceBuffer } from "../../engine/targets/cuda/index.ts";
import type { Decoder } from "../models/decoder.ts";

/** Most rows of a block. */
const BLOCK_ROWS_MAX = 4096;
/** A block that would be filled up by more than this share is split instead, but for small ones. */
const WASTE_MAX = 0.25;
/** Rows below which a block is not split. */
const SPLIT_ROWS_MIN = 256;

/** Largest number of float32. */
const FLOAT_MAX = 3.4028234663852886e38;

/** The parts of a model. */
type Part = "embed" | "project" | "finish" | "head";

/** Sizes of the blocks that cover so many rows, each a power of two. */
function blocksOf(rows: number): number[] {
  const blocks: number[] = [];
  for (let left = rows; left > 0;) {
    const over = Math.min(BLOCK_ROWS_MAX, 2 ** Math.ceil(Math.log2(left)));
    const block = over > SPLIT_ROWS_MIN && over - left > WASTE_MAX * over ? over / 2 : over;
    blocks.push(block);
    left -= block;
  }
  return blocks;
}

/** Rows of all blocks that cover so many rows. */
export function roundedRows(rows: number): number {
  return blocksOf(rows).reduce((sum, block) => sum + block, 0);
}

/** Addresses of rows; which of them a part reads and writes is said with each. */
export interface RowPlaces {
  /** `[rows, width]` */
  hidden: number;
  /** `[rows, (heads + 2 · kvHeads) · headDim]` */
  projected: number;
  /** `[rows, heads · headDim]` */
  attended: number;
}

/** The programs of one model. */
export class DenseRows {
  readonly decoder: Decoder;
  /** Bytes of a row of each place. */
  readonly rowBytes: Readonly<Record<keyof RowPlaces, number>>;
  readonly #device: CudaDevice;
  readonly #programs = new Map<string, CudaProgram>();
  #arena: DeviceBuffer | undefined;
  /** Grows whenever the scratch memory moves, which outdates what was recorded. */
  version = 0;

  constructor(device: CudaDevice, decoder: Decoder) {
    const { hiddenSize, heads, kvHeads, headDim } = decoder.config;
    const bytes = dtypeBytes(decoder.dtype);
    this.decoder = decoder;
    this.#device = device;
    this.rowBytes = {
      hidden: hiddenSize * bytes,
      projected: (heads + 2 * kvHeads) * headDim * bytes,
      attended: heads * headDim * bytes,
    };
  }

  /** Compiles what so many rows need, and the head for `headRows`. To be awaited before anything is queued or recorded. */
  async prepare(rows: number, headRows: number): Promise<void> {
    const blocks = new Set(blocksOf(rows));
    for (const block of blocks) {
      for (const part of ["embed", "project", "finish"] as const) await this.#compile(part, block);
    }
    for (const block of new Set(blocksOf(headRows))) {
      await this.#compile("finish", block);
      await this.#compile("head", block);
    }
    const bytes = Math.max(1, ...[...this.#programs.values()].map(({ arenaBytes }) => arenaBytes));
    if (this.#arena && this.#arena.bytes >= bytes) return;
    // What is queued still uses the old one.
    await this.#device.finished();
    this.#arena?.free();
    this.#arena = undefined;
    this.#arena = this.#device.allocator.allocate(bytes, "scratch of dense rows");
    this.version++;
  }

  /** Queues the embedding of rows. @param tokens address of int32 `[rows]` @param positions the same */
  embed(rows: number, { tokens, positions }: { tokens: number; positions: number }, hidden: number): void {
    this.#each("embed", rows, 0, (first) => ({
      inputs: { tokens: tokens + 4 * first, positions: positions + 4 * first },
      outputs: { hidden: hidden + first * this.rowBytes.hidden },
    }));
  }

  /** Queues the projection of a layer, from `hidden` to `projected`. */
  project(layer: number, rows: number, { hidden, projected }: Pick<RowPlaces, "hidden" | "projected">): void {
    this.#each("project", rows, layer, (first) => ({
      inputs: { hidden: hidden + first * this.rowBytes.hidden },
      outputs: { projected: projected + first * this.rowBytes.projected },
    }));
  }

  /** Queues what lies behind a layer's attention, from `hidden` and `attended` to `next`. */
  finish(
    layer: number,
    rows: number,
    { hidden, attended }: Pick<RowPlaces, "hidden" | "attended">,
    next: number,
  ): void {
    this.#each("finish", rows, layer, (first) => ({
      inputs: {
        hidden: hidden + first * this.rowBytes.hidden,
        attended: attended + first * this.rowBytes.attended,
      },
      outputs: { hidden: next + first * this.rowBytes.hidden },
    }));
  }

  /**
   * Queues the head: logits float32 `[rows, vocabulary]` and their largest's token, int32 `[rows]`; −1 where logits are
   * not finite.
   */
  head(rows: number, hidden: number, { logits, tokens }: { logits: number; tokens: number }): void {
    const { vocabSize } = this.decoder.config;
    this.#each("head", rows, 0, (first) => ({
      inputs: { hidden: hidden + first * this.rowBytes.hidden },
      outputs: { logits: logits + first * 4 * vocabSize, tokens: tokens + 4 * first },
    }));
  }

  /** Steps that one row's pass through a layer takes, beside attention. */
  get layerSteps(): number {
    return (["project", "finish"] as const).reduce(
      (sum, part) => sum + (this.#programs.get(`${part} 1`)?.plan.steps.length ?? 0),
      0,
    );
  }

  /** Frees programs and memory; nothing may be under way. */
  dispose(): void {
    for (const program of this.#programs.values()) program.release();
    this.#programs.clear();
    this.#arena?.free();
    this.#arena = undefined;
  }

  #each(
    part: Part,
    rows: number,
    layer: number,
    places: (first: number) => { inputs: Record<string, number>; outputs: Record<string, number> },
  ): void {
    const { layerPrefix } = this.decoder;
    let first = 0;
    for (const block of blocksOf(rows)) {
      this.#programs.get(`${part} ${block}`)!.queue({
        arena: this.#arena!.pointer,
        ...places(first),
        // Programs are traced for layer 0.
        state: (name) =>
          this.#device.statePointer(
            name.startsWith(`${layerPrefix}0.`)
              ? `${layerPrefix}${layer}.${name.slice(layerPrefix.length + 2)}`
              : name,
          ),
      });
      first += block;
    }
  }

  async #compile(part: Part, rows: number): Promise<void> {
    const key = `${part} ${rows}`;
    if (this.#programs.has(key)) return;
    this.#programs.set(key, await this.#device.compile(this.#graph(part, rows), { isQueued: true }));
  }

  #graph(part: Part, rows: number): Graph {
    const { decoder } = this;
    const { hiddenSize, heads, headDim } = decoder.config;
    const ids = { shape: [rows], dtype: "int32" } as const;
    const hidden = { shape: [rows, hiddenSize], dtype: decoder.dtype } as const;
    const attended = { shape: [rows, heads * headDim], dtype: decoder.dtype } as const;
    switch (part) {
      case "embed":
        return trace({ tokens: ids, positions: ids }, ({ tokens, positions }) => ({
          outputs: { hidden: decoder.embed(tokens, positions) },
        }));
      case "project":
        return trace({ hidden }, (t) => ({ outputs: { projected: decoder.projectAll(0, t.hidden) } }));
      case "finish":
        return trace({ hidden, attended }, (t) => ({
          outputs: { hidden: decoder.finish(0, t.hidden, t.attended) },
        }));
      case "head":
        return trace({ hidden }, (t) => {
          const logits = decoder.head(t.hidden);
          // A hidden state with a number that is not finite leaves no logit finite: the first one tells.
          const first = reshape(slice(logits, { 1: [0, 1] }), [rows]);
          const isSound = less(abs(first), FLOAT_MAX);
          const tokens = argmax(logits, 1);
          return { outputs: { logits, tokens: where(isSound, tokens, scalarLike(tokens, -1)) } };
        });
    }
  }
}
