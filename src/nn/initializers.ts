/** @file Initial values of parameters, by PyTorch's names. Each fills an array in place from a seeded stream. */
import type { Rng } from "../base/rng.ts";
import type { Shape } from "../base/shape.ts";

/** Fills `values` of a parameter of this shape. */
export type Initializer = (values: Float32Array, shape: Shape, rng: Rng) => void;

/** One value everywhere. */
export function constantFill(value: number): Initializer {
  return (values) => values.fill(value);
}

/** Uniform in [low, high). */
export function uniform(low: number, high: number): Initializer {
  return (values, _, rng) => {
    for (let i = 0; i < values.length; i++) values[i] = low + (high - low) * rng.uniform();
  };
}

/** Normal with this mean and deviation. */
export function normal(mean: number, deviation: number): Initializer {
  return (values, _, rng) => {
    for (let i = 0; i < values.length; i++) values[i] = mean + deviation * rng.normal();
  };
}

/** Inputs and outputs of one unit: the last two axes, times the axes after them in a kernel `[out, in, …]`. */
function fans(shape: Shape): [fanIn: number, fanOut: number] {
  const [outputs = 1, inputs = 1, ...kernel] = shape;
  const field = kernel.reduce((a, b) => a * b, 1);
  return [inputs * field, outputs * field];
}

/** Uniform in ±√(6 / (fanIn + fanOut)) (Glorot and Bengio 2010); weights are `[out, in, …]`. */
export const xavierUniform: Initializer = (values, shape, rng) => {
  const [fanIn, fanOut] = fans(shape);
  const bound = Math.sqrt(6 / (fanIn + fanOut));
  uniform(-bound, bound)(values, shape, rng);
};

/** Normal with deviation √(2 / (fanIn + fanOut)) (Glorot and Bengio 2010), DLRM's choice for its weights. */
export const xavierNormal: Initializer = (values, shape, rng) => {
  const [fanIn, fanOut] = fans(shape);
  normal(0, Math.sqrt(2 / (fanIn + fanOut)))(values, shape, rng);
};

/** Orthogonal rows (or columns, when there are more rows) of `[rows, columns]`, by Gram–Schmidt on normal draws. */
export const orthogonal: Initializer = (values, shape, rng) => {
  const [rows = 1, columns = 1] = shape;
  const count = Math.min(rows, columns);
  const length = Math.max(rows, columns);
  const vectors: Float64Array[] = [];
  while (vectors.length < count) {
    const v = Float64Array.from({ length }, () => rng.normal());
    // Twice is enough for orthogonality to rounding error.
    for (let pass = 0; pass < 2; pass++) {
      for (const u of vectors) {
        let dot = 0;
        for (let i = 0; i < length; i++) dot += u[i]! * v[i]!;
        for (let i = 0; i < length; i++) v[i]! -= dot * u[i]!;
      }
    }
    const norm = Math.hypot(...v);
    if (norm > 1e-6) vectors.push(v.map((x) => x / norm));
  }
  vectors.forEach((v, k) =>
    v.forEach((x, i) => {
      values[rows <= columns ? k * columns + i : i * columns + k] = x;
    }),
  );
};
