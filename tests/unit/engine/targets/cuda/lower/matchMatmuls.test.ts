/** @file Which nodes a matrix product takes with it, and which it must leave. */
import { expect, test } from "vitest";
import type { DType } from "../../../../../../src/base/dtype.ts";
import { rootsOf, trace, type Traced } from "../../../../../../src/engine/graph/graph.ts";
import type { Tensor } from "../../../../../../src/engine/graph/node.ts";
import { matmul } from "../../../../../../src/engine/graph/ops/contraction.ts";
import { add, mul, relu, tanh } from "../../../../../../src/engine/graph/ops/elementwise.ts";
import { reshape } from "../../../../../../src/engine/graph/ops/movement.ts";
import { reachableNodes } from "../../../../../../src/engine/graph/rewrite.ts";
import { simplify } from "../../../../../../src/engine/passes/simplify.ts";
import { gelu } from "../../../../../../src/nn/functional.ts";
import { matchMatmuls } from "../../../../../../src/engine/targets/cuda/lower/matchMatmuls.ts";

/** The epilogue, root op and number of absorbed nodes of every product of a model over x [4, 3], w [3, 5], b [5]. */
function matches(
  model: (t: { x: Tensor; w: Tensor; b: Tensor; full: Tensor }) => Traced,
  dtype: DType = "float32",
) {
  const spec = (...shape: number[]) => ({ shape, dtype });
  const graph = simplify(trace({ x: spec(4, 3), w: spec(3, 5), b: spec(5), full: spec(4, 5) }, model));
  const roots = rootsOf(graph);
  return [...matchMatmuls(reachableNodes(roots), roots)].map(([root, { epilogue, absorbed, operands }]) => ({
    root: root.op,
    epilogue,
    absorbed: absorbed.length,
    operands: operands.length,
  }));
}

const tanhGelu = (x: Tensor) => gelu(x, { approximate: "tanh" });

test("a bias row and ReLU go with their product, in either order of the sum", () => {
  expect(matches(({ x, w, b }) => ({ outputs: { y: relu(add(matmul(x, w), b)) } }))).toEqual([
    { root: "relu", epilogue: "biasRelu", absorbed: 2, operands: 3 },
  ]);
  expect(matches(({ x, w, b }) => ({ outputs: { y: add(reshape(b, [1, 5]), matmul(x, w)) } }))).toEqual([
    { root: "add", epilogue: "bias", absorbed: 1, operands: 3 },
  ]);
  expect(matches(({ x, w }) => ({ outputs: { y: relu(matmul(x, w)) } }))).toEqual([
    { root: "relu", epilogue: "relu", absorbed: 1, operands: 2 },
  ]);
});

test("what is read elsewhere, or is no row, stays outside", () => {
  expect(matches(({ x, w, full }) => ({ outputs: { y: add(matmul(x, w), full) } }))).toEqual([
    { root: "matmul", epilogue: "none", absorbed: 0, operands: 2 },
  ]);
  const wantedTwice = matches(({ x, w, b }) => {
    const sum = add(matmul(x, w), b);
    return { outputs: { y: relu(sum), sum } };
  });
  expect(wantedTwice).toEqual([{ root: "add", epilogue: "bias", absorbed: 1, operands: 3 }]);
  const doubled = matches(({ x, w }) => {
    const product = matmul(x, w);
    return { outputs: { y: add(product, product) } };
  });
  expect(doubled).toEqual([{ root: "matmul", epilogue: "none", absorbed: 0, operands: 2 }]);
});

test("the tanh form of GELU is known by its values, and only when nothing inside it is wanted", () => {
  expect(matches(({ x, w, b }) => ({ outputs: { y: tanhGelu(add(matmul(x, w), b)) } }))).toMatchObject([
    { root: "mul", epilogue: "biasGelu", operands: 3 },
  ]);
  const keepsInput = matches(({ x, w, b }) => {
    const z = add(matmul(x, w), b);
    return { outputs: { y: tanhGelu(z), z } };
  });
  expect(keepsInput).toMatchObject([{ root: "add", epilogue: "bias" }]);
  const almost = matches(({ x, w }) => {
    const z = matmul(x, w);
    return { outputs: { y: mul(mul(z, 0.5), add(tanh(z), 1)) } };
  });
  expect(almost).toMatchObject([{ root: "matmul", epilogue: "none" }]);
});

test.each(["float16", "bfloat16"] as const)("products of %s take their epilogues too", (dtype) => {
  const biased = matches(({ x, w, b }) => ({ outputs: { y: relu(add(matmul(x, w), b)) } }), dtype);
  expect(biased).toMatchObject([{ epilogue: "biasRelu", operands: 3 }]);
  const smooth = matches(({ x, w, b }) => ({ outputs: { y: tanhGelu(add(matmul(x, w), b)) } }), dtype);
  expect(smooth).toMatchObject([{ epilogue: "biasGelu", operands: 3 }]);
  // x·σ(1.702 x), another approximation of GELU.
  const sigmoidForm = (z: Tensor) => mul(mul(z, 0.5), add(tanh(mul(z, 0.851)), 1));
  const other = matches(({ x, w }) => ({ outputs: { y: sigmoidForm(matmul(x, w)) } }), dtype);
  expect(other).toMatchObject([{ root: "matmul", epilogue: "none" }]);
});
