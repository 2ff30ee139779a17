/**
 * @file A model's weights in a memory that the kernel threads share, and their products with few rows. Where the
 * weights do not fit one memory there are none, and all products are ONNX Runtime's.
 */
import {
  alignedBytes,
  Arena,
  ARENA_MAX_BYTES,
  type KernelTask,
  type ThreadPool,
} from "../../engine/targets/cpu/index.ts";
import { sizeOf } from "../../base/shape.ts";
import type { StateSource } from "../models/decoder.ts";

/** Most rows that are multiplied here: more are as fast by a product that reuses what it has read. */
export const MOST_ROWS = 8;

/** Fewest bytes of weights that a task reads: 10 µs of a thread's time, or so. */
const TASK_BYTES = 2 ** 18;

interface Weight {
  values: Float32Array;
  pointer: number;
  outputs: number;
  inputs: number;
  /** Products by the number of rows. */
  products: Map<number, readonly KernelTask[]>;
}

/** The weights of one model. */
export class SharedWeights {
  readonly #pool: ThreadPool;
  readonly #arena: Arena;
  readonly #weights = new Map<string, Weight>();
  /** Rows before and behind a product. */
  readonly #x: number;
  readonly #out: number;

  private constructor(
    states: ReadonlyMap<string, StateSource>,
    pool: ThreadPool,
    bytes: number,
    width: number,
  ) {
    this.#pool = pool;
    this.#arena = new Arena(bytes);
    this.#x = this.#arena.allocate(4 * MOST_ROWS * width);
    this.#out = this.#arena.allocate(4 * MOST_ROWS * width);
    for (const [name, { shape }] of states) {
      const pointer = this.#arena.allocate(4 * sizeOf(shape));
      const values = this.#arena.float32At(pointer, sizeOf(shape));
      const [outputs, inputs] = [shape[0]!, shape[1] ?? 1];
      this.#weights.set(name, { values, pointer, outputs, inputs, products: new Map() });
    }
  }

  /** Room for a model's states; null where they do not fit. @throws ParetoError ARENA_OUT_OF_MEMORY */
  static create(states: ReadonlyMap<string, StateSource>, pool: ThreadPool): SharedWeights | null {
    let bytes = 0;
    let width = 0;
    for (const { shape } of states.values()) {
      bytes += alignedBytes(4 * sizeOf(shape));
      width = Math.max(width, ...shape);
    }
    bytes += 2 * alignedBytes(4 * MOST_ROWS * width);
    return bytes + 64 > ARENA_MAX_BYTES ? null : new SharedWeights(states, pool, bytes, width);
  }

  /** A state's elements, in place. */
  get(name: string): Float32Array {
    return this.#weights.get(name)!.values;
  }

  /** x·Wᵀ of `[rows, inputs]` with a state `[outputs, inputs]`. */
  multiply(x: Float32Array, name: string, out: Float32Array): void {
    const weight = this.#weights.get(name)!;
    const rows = x.length / weight.inputs;
    this.#arena.float32At(this.#x, x.length).set(x);
    this.#pool.runHere(weight.products.get(rows) ?? this.#tasks(weight, rows));
    out.set(this.#arena.float32At(this.#out, out.length));
  }

  /** Frees the memory. */
  dispose(): void {
    this.#pool.release(this.#arena);
  }

  #tasks(weight: Weight, rows: number): readonly KernelTask[] {
    const { pointer, outputs, inputs } = weight;
    const most = Math.max(1, Math.floor((4 * inputs * outputs) / TASK_BYTES));
    // Several for each thread, so that one that is late leaves its share to others.
    const count = Math.min(most, outputs, 4 * this.#pool.threads);
    const tasks = Array.from({ length: count }, (_, i): KernelTask => {
      const [from, to] = [i, i + 1].map((end) => Math.floor((end * outputs) / count)) as [number, number];
      const args = [this.#x, rows, inputs, pointer, outputs, from, to, this.#out];
      return { kernel: "multiplyRows", arena: this.#arena, arguments: args };
    });
    weight.products.set(rows, tasks);
    return tasks;
  }
}
