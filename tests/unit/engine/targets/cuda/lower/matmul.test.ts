/** @file How leading axes of a matrix product become rows, a batch, or several products. */
import { expect, test } from "vitest";
import { input } from "../../../../../../src/engine/graph/ops/leaf.ts";
import type { AnyNode, Tensor } from "../../../../../../src/engine/graph/node.ts";
import { matmul } from "../../../../../../src/engine/graph/ops/contraction.ts";
import { matchMatmuls } from "../../../../../../src/engine/targets/cuda/lower/matchMatmuls.ts";
import { lowerMatmul } from "../../../../../../src/engine/targets/cuda/lower/matmul.ts";
import type { LowerContext } from "../../../../../../src/engine/targets/cuda/lower/lowering.ts";
import type { MatmulStep, Step } from "../../../../../../src/engine/targets/cuda/plan.ts";

/** The product steps of a·b. */
function steps(a: readonly number[], b: readonly number[], flags: Parameters<typeof matmul>[2] = {}) {
  const product = matmul(input("a", a, "float32"), input("b", b, "float32"), flags);
  const [match] = matchMatmuls([product.node as unknown as AnyNode], [product]).values();
  const emitted: Step[] = [];
  const context: LowerContext = {
    multiprocessors: 1,
    maxSharedBytes: 0,
    compute: "float32",
    arch: "sm_90a",
    view: (t: Tensor) => ({
      buffer: {
        kind: "scratch",
        name: t === product ? "out" : (t.node as never as { attrs: { name: string } }).attrs.name,
        bytes: 0,
      },
      offsetBytes: 0,
    }),
    scratch: () => expect.unreachable(),
    emit: (step) => emitted.push(step),
    lowerBody: () => expect.unreachable(),
  };
  lowerMatmul(match!, product, context);
  return (emitted as MatmulStep[]).map(({ spec, a, b, out }) => ({
    size: [spec.batch, spec.m, spec.n, spec.k],
    strides: [spec.strideA, spec.strideB, spec.strideOut],
    offsets: [a.offsetBytes, b.offsetBytes, out.offsetBytes],
  }));
}

test("one matrix b turns a batch of a into rows, but not a transposed one", () => {
  expect(steps([7, 2, 3], [3, 5])).toEqual([
    { size: [1, 14, 5, 3], strides: [0, 0, 70], offsets: [0, 0, 0] },
  ]);
  expect(steps([7, 3, 2], [3, 5], { transposeA: true })).toEqual([
    { size: [7, 2, 5, 3], strides: [6, 0, 10], offsets: [0, 0, 0] },
  ]);
});

test("matching axes are a batch, a repeated operand has stride 0", () => {
  expect(steps([4, 7, 2, 3], [4, 7, 3, 5])).toEqual([
    { size: [28, 2, 5, 3], strides: [6, 15, 10], offsets: [0, 0, 0] },
  ]);
  expect(steps([2, 3], [7, 3, 5])).toEqual([
    { size: [7, 2, 5, 3], strides: [0, 15, 10], offsets: [0, 0, 0] },
  ]);
});

test("axes that repeat in turn become several products", () => {
  // a moves along axis 0 and b along axis 1.
  expect(steps([2, 1, 2, 3], [1, 4, 3, 5])).toEqual([
    { size: [4, 2, 5, 3], strides: [0, 15, 10], offsets: [0, 0, 0] },
    { size: [4, 2, 5, 3], strides: [0, 15, 10], offsets: [24, 0, 160] },
  ]);
  // b moves along axis 0, a along axis 1, whose matrices become rows.
  expect(steps([1, 4, 2, 3], [2, 1, 3, 5])).toEqual([
    { size: [2, 8, 5, 3], strides: [0, 15, 40], offsets: [0, 0, 0] },
  ]);
});
