/** @file Random graphs: a list of instructions, each of which applies an op to tensors made before. */
import * as fc from "fast-check";
import { grad } from "../../../../src/engine/autodiff.ts";
import { ParetoError } from "../../../../src/base/errors.ts";
import { trace, type Graph } from "../../../../src/engine/graph/graph.ts";
import type { Tensor } from "../../../../src/engine/graph/node.ts";
import { matmul } from "../../../../src/engine/graph/ops/contraction.ts";
import * as elementwise from "../../../../src/engine/graph/ops/elementwise.ts";
import { take } from "../../../../src/engine/graph/ops/indexing.ts";
import { constant, full } from "../../../../src/engine/graph/ops/leaf.ts";
import * as movement from "../../../../src/engine/graph/ops/movement.ts";
import { cumsum, max, softmax } from "../../../../src/engine/graph/ops/reduce.ts";
import { scan } from "../../../../src/engine/graph/ops/scan.ts";
import { sizeOf } from "../../../../src/base/shape.ts";
import type { TensorSpec } from "../../../../src/engine/graph/node.ts";

const { add, sub, mul, div, neg, tanh, sigmoid, relu, maximum, where, less, pow } = elementwise;

/** What an instruction may do; a, b are tensors made before, n a small number to take choices from. */
const operations: ((a: Tensor, b: Tensor, n: number) => Tensor)[] = [
  add,
  sub,
  mul,
  maximum,
  (a, b) => div(a, add(mul(b, b), 1)),
  (a, b) => where(less(a, b), a, b),
  neg,
  (a) => neg(neg(a)),
  tanh,
  sigmoid,
  relu,
  (a) => pow(a, 2),
  (a) => pow(a, 1),
  (a) => add(a, 0),
  (a) => mul(a, 1),
  (a) => sub(a, 0),
  (a) => div(a, 1),
  (a, _, n) => mul(a, n - 2),
  (a) => add(a, full(a.shape, 0, a.dtype)),
  (a) => mul(full([2, ...a.shape], 1, a.dtype), a),
  (a, b) => movement.broadcastTo(a, b.shape),
  (a, b) => movement.reshape(a, b.shape),
  (a, _, n) => movement.broadcastTo(a, [n, ...a.shape]),
  (a) => movement.reshape(a, [-1]),
  (a, _, n) => movement.sum(a, n % Math.max(1, a.shape.length), n > 2),
  (a) => movement.sum(a),
  (a, _, n) => max(a, n % Math.max(1, a.shape.length)),
  (a, _, n) => cumsum(a, n % Math.max(1, a.shape.length)),
  (a) => softmax(a),
  (a) => movement.transpose(a),
  (a) =>
    movement.transpose(
      a,
      a.shape.map((_, axis) => a.shape.length - 1 - axis),
    ),
  (a, _, n) => movement.slice(a, { 0: [n > 3 ? 1 : 0, n] }),
  (a, _, n) =>
    movement.pad(
      a,
      a.shape.map(() => n % 2),
      a.shape.map(() => 1),
      n - 1,
    ),
  (a, b) => movement.concat([a, b], 0),
  (a) => movement.flip(a, 0),
  (a, _, n) => take(a, 0, [0, a.shape[0]! - 1, n % Math.max(1, a.shape[0]!)]),
  (a, b) => matmul(a, b),
  (a, b) => matmul(a, movement.transpose(b)),
  (a, b) => matmul(movement.transpose(a), b, { transposeB: true }),
  (a, _, n) =>
    constant(
      Float64Array.from({ length: sizeOf(a.shape) }, (_, i) => (i * n) % 3),
      a.shape,
      a.dtype,
    ),
  (a, b, n) =>
    scan(
      ([now], [slice]) => {
        const next = tanh(add(mul(now!, 1), add(movement.sum(slice!), movement.broadcastTo(b, now!.shape))));
        return { carries: [next], outputs: [mul(next, next), add(next, 0), now!] };
      },
      { init: [b], xs: [a], reverse: n > 2 },
    ).outputs[n % 3]!,
];

/** One step of a random program. */
interface Instruction {
  readonly operation: number;
  readonly a: number;
  readonly b: number;
  readonly n: number;
}

/** Specs of the inputs of random graphs. */
const randomGraphInputs: Record<string, TensorSpec> = {
  x: { shape: [2, 3], dtype: "float64" },
  y: { shape: [3], dtype: "float64" },
  s: { shape: [], dtype: "float64" },
  e: { shape: [0, 3], dtype: "float64" },
};

const elementsMax = 400;

/** Follows instructions; those whose operands do not fit are passed over. */
function follow(start: readonly Tensor[], instructions: readonly Instruction[]): Tensor[] {
  const made = [...start];
  for (const { operation, a, b, n } of instructions) {
    try {
      const next = operations[operation]!(made[a % made.length]!, made[b % made.length]!, n);
      if (sizeOf(next.shape) <= elementsMax) made.push(next);
    } catch (error) {
      if (!(error instanceof ParetoError)) throw error;
    }
  }
  return made;
}

/** Graphs whose outputs are the tensors made last and, sometimes, gradients of their sum. */
export const randomGraph: fc.Arbitrary<Graph> = fc
  .record({
    instructions: fc.array(
      fc.record({
        operation: fc.nat({ max: operations.length - 1 }),
        a: fc.nat({ max: 30 }),
        b: fc.nat({ max: 30 }),
        n: fc.integer({ min: 1, max: 4 }),
      }),
      { minLength: 1, maxLength: 14 },
    ),
    differentiate: fc.boolean(),
  })
  .map(({ instructions, differentiate }) =>
    trace(randomGraphInputs, (inputs) => {
      const leaves = Object.values(inputs);
      const results = follow(leaves, instructions).slice(-3);
      const loss = results.map((t) => movement.sum(t)).reduce((a, b) => add(a, b));
      const gradients = differentiate ? grad(loss, leaves) : [];
      return { outputs: Object.fromEntries([...results, ...gradients].map((t, i) => [`y${i}`, t])) };
    }),
  );
