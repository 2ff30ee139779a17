/**
 * @file Embedding tables in plain TypeScript: what the kernels must compute. Pooling, coalescing and SGD round
 * to float32 after each operation in input order, so they are exact; the other optimizers work in float64.
 */
import type { Lookups } from "../../../src/recsys/data/batches/clickBatch.ts";
import { philox, type Rng } from "../../../src/base/rng.ts";
import type { SparseOptimizer } from "../../../src/recsys/embedding/sparseOptimizer.ts";

/** The initial value of an element, from the definition in `EmbeddingTables.create`. */
export function initialElement(
  seed: number,
  table: number,
  row: number,
  element: number,
  rows: number,
): number {
  const words = new Uint32Array(4);
  const key = [seed >>> 0, Math.floor(seed / 2 ** 32)] as const;
  philox([element >>> 2, row, table, 1], key, words);
  const u = (words[element & 3]! >>> 8) * 2 ** -24;
  return Math.fround((2 * u - 1) * Math.fround(Math.sqrt(1 / rows)));
}

/** Where a batch's bags begin. */
function bagOf(lookups: Lookups, table: number, input: number): Int32Array {
  const bag = table * lookups.size + input;
  return lookups.offsets === null
    ? lookups.ids.subarray(bag, bag + 1)
    : lookups.ids.subarray(lookups.offsets[bag]!, lookups.offsets[bag + 1]!);
}

export class ReferenceTables {
  readonly weights: Float32Array[];
  readonly state: Float64Array[][];
  readonly dim: number;
  readonly optimizer: SparseOptimizer;

  constructor(cardinalities: readonly number[], dim: number, optimizer: SparseOptimizer, seed: number) {
    this.dim = dim;
    this.optimizer = optimizer;
    this.weights = cardinalities.map((rows, table) =>
      Float32Array.from({ length: rows * dim }, (_, i) =>
        initialElement(seed, table, Math.floor(i / dim), i % dim, rows),
      ),
    );
    this.state = this.weights.map((w) => [new Float64Array(w.length), new Float64Array(w.length)]);
  }

  gather(lookups: Lookups): Float32Array {
    const { size, tables } = lookups;
    const out = new Float32Array(size * tables * this.dim);
    for (let t = 0; t < tables; t++) {
      for (let b = 0; b < size; b++) {
        for (const id of bagOf(lookups, t, b)) {
          for (let e = 0; e < this.dim; e++) {
            const at = (b * tables + t) * this.dim + e;
            out[at] = out[at]! + this.weights[t]![id * this.dim + e]!;
          }
        }
      }
    }
    return out;
  }

  update(lookups: Lookups, gradients: Float32Array, learningRate: number, step: number): void {
    const { size, tables } = lookups;
    const { dim } = this;
    for (let t = 0; t < tables; t++) {
      const sums = new Map<number, Float32Array>();
      for (let b = 0; b < size; b++) {
        const gradient = gradients.subarray((b * tables + t) * dim, (b * tables + t + 1) * dim);
        for (const id of bagOf(lookups, t, b)) {
          const sum = sums.get(id);
          if (sum === undefined) sums.set(id, gradient.slice());
          else for (let e = 0; e < dim; e++) sum[e] = sum[e]! + gradient[e]!;
        }
      }
      for (const [id, sum] of sums) this.#apply(t, id, sum, learningRate, step);
    }
  }

  #apply(t: number, id: number, g: Float32Array, learningRate: number, step: number): void {
    const { dim, optimizer } = this;
    const w = this.weights[t]!;
    const [first, second] = this.state[t] as [Float64Array, Float64Array];
    if (optimizer.kind === "rwsadagrad") {
      first[id] = first[id]! + g.reduce((sum, x) => sum + x * x, 0) / dim;
    }
    for (let e = 0; e < dim; e++) {
      const at = id * dim + e;
      switch (optimizer.kind) {
        case "sgd":
          w[at] = w[at]! - Math.fround(Math.fround(learningRate) * g[e]!);
          break;
        case "adagrad":
          first[at] = first[at]! + g[e]! ** 2;
          w[at] = w[at]! - (learningRate * g[e]!) / (Math.sqrt(first[at]!) + optimizer.epsilon);
          break;
        case "rwsadagrad":
          w[at] = w[at]! - (learningRate * g[e]!) / (Math.sqrt(first[id]!) + optimizer.epsilon);
          break;
        case "adam": {
          const { beta1, beta2, epsilon } = optimizer;
          first[at] = beta1 * first[at]! + (1 - beta1) * g[e]!;
          second[at] = beta2 * second[at]! + (1 - beta2) * g[e]! ** 2;
          const m = first[at]! / (1 - beta1 ** step);
          const v = second[at]! / (1 - beta2 ** step);
          w[at] = w[at]! - (learningRate * m) / (Math.sqrt(v) + epsilon);
        }
      }
    }
  }
}

/** Every optimizer, with settings that make state matter. */
export const OPTIMIZERS: SparseOptimizer[] = [
  { kind: "sgd" },
  { kind: "adagrad", epsilon: 1e-10 },
  { kind: "rwsadagrad", epsilon: 1e-10 },
  { kind: "adam", beta1: 0.9, beta2: 0.99, epsilon: 1e-8 },
];

/** A batch of random lookups; multi-hot bags hold 0 to 5 ids, often the same ones. */
export function randomLookups(
  rng: Rng,
  cardinalities: readonly number[],
  size: number,
  isMultiHot: boolean,
): Lookups {
  const ids: number[] = [];
  const offsets = [0];
  for (const rows of cardinalities) {
    for (let b = 0; b < size; b++) {
      const length = isMultiHot ? rng.integer(6) : 1;
      // Squaring favours low ids, so bags and batches hold duplicates.
      for (let k = 0; k < length; k++) ids.push(Math.floor(rng.uniform() ** 2 * rows));
      offsets.push(ids.length);
    }
  }
  return {
    size,
    tables: cardinalities.length,
    ids: Int32Array.from(ids),
    offsets: isMultiHot ? Int32Array.from(offsets) : null,
  };
}

/** Fills gradients with normal numbers. */
export function randomGradients(rng: Rng, gradients: Float32Array): void {
  for (let i = 0; i < gradients.length; i++) gradients[i] = rng.normal();
}
