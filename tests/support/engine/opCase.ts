/** @file A case: an op applied to operands of stated shapes and ranges. The tables in `cases/` consist of them. */
import { isFloat, isHalf, type DType, type FloatDType } from "../../../src/base/dtype.ts";
import { grad } from "../../../src/engine/autodiff.ts";
import { trace, type Graph } from "../../../src/engine/graph/graph.ts";
import type { Tensor, TensorSpec } from "../../../src/engine/graph/node.ts";
import { add, cast, mul } from "../../../src/engine/graph/ops/elementwise.ts";
import { constant, scalarLike } from "../../../src/engine/graph/ops/leaf.ts";
import { sum } from "../../../src/engine/graph/ops/movement.ts";
import { elementOf } from "../../../src/base/half.ts";
import { Rng } from "../../../src/base/rng.ts";
import type { Shape } from "../../../src/base/shape.ts";
import { randomTensor, type HostTensor } from "./hostTensor.ts";

/** An operand: `float` stands for the floating-point type under test. */
export interface Operand {
  readonly shape: Shape;
  readonly kind: "float" | "int32" | "bool";
  readonly low: number;
  readonly high: number;
  /** Values to keep away from: kinks of the derivative. */
  readonly avoid?: readonly number[];
  /** Elements to use in place of random ones. */
  readonly values?: readonly number[];
}

/** A floating-point operand, by default in [−2, 2). */
export function float(shape: Shape, low = -2, high = 2, avoid: readonly number[] = []): Operand {
  return { shape, kind: "float", low, high, avoid };
}

/** A whole-number operand in [low, high). */
export function int(shape: Shape, low = -9, high = 9): Operand {
  return { shape, kind: "int32", low, high };
}

/** A truth-value operand. */
export function bool(shape: Shape): Operand {
  return { shape, kind: "bool", low: 0, high: 1 };
}

/** An operand of given elements. */
export function given(kind: Operand["kind"], shape: Shape, values: readonly number[]): Operand {
  return { shape, kind, low: 0, high: 0, values };
}

/** One use of an op. */
export interface OpCase {
  readonly name: string;
  readonly operands: readonly Operand[];
  /** Applies the op; `float` is the floating-point type under test. */
  readonly build: (operands: Tensor[], float: FloatDType) => Tensor[];
  /** Why central differences do not apply, e.g. a tie at which the derivative is a convention. */
  readonly noFiniteDifference?: string;
  /** States that the graph reads, by name. */
  readonly states?: Readonly<Record<string, Operand>>;
}

/** A case of one result. */
export function opCase(
  name: string,
  operands: readonly Operand[],
  build: (...operands: Tensor[]) => Tensor | Tensor[],
  rest: Pick<OpCase, "noFiniteDifference" | "states"> = {},
): OpCase {
  return {
    name,
    operands,
    build: (tensors) => {
      const made = build(...tensors);
      return Array.isArray(made) ? made : [made];
    },
    ...rest,
  };
}

const dtypeOf = (kind: Operand["kind"], float: FloatDType): DType => (kind === "float" ? float : kind);
const inputName = (i: number) => `x${i}`;

/** Specs of a case's inputs, by name. */
function inputSpecs({ operands }: OpCase, float: FloatDType): Record<string, TensorSpec> {
  return Object.fromEntries(
    operands.map(({ shape, kind }, i) => [inputName(i), { shape, dtype: dtypeOf(kind, float) }]),
  );
}

/** Elements of an operand. */
function operandValues(operand: Operand, seed: number, float: FloatDType): HostTensor {
  const made = randomTensor(new Rng(seed), operand.shape, dtypeOf(operand.kind, float), operand);
  operand.values?.forEach((value, i) => (made.data[i] = elementOf(value, made.dtype)));
  return made;
}

/** Feeds of a case, by input name; the same for the same case. */
export function caseFeeds({ operands }: OpCase, float: FloatDType): Record<string, HostTensor> {
  return Object.fromEntries(
    operands.map((operand, i) => [inputName(i), operandValues(operand, i + 1, float)]),
  );
}

/** States of a case, by name. */
export function caseStates({ states = {} }: OpCase, float: FloatDType): Record<string, HostTensor> {
  return Object.fromEntries(
    Object.entries(states).map(([name, operand]) => [name, operandValues(operand, 50, float)]),
  );
}

/** The results of a case, as outputs `y0`, `y1`, … */
export function valueGraph(testCase: OpCase, float: FloatDType): Graph {
  return trace(inputSpecs(testCase, float), (inputs) => ({
    outputs: Object.fromEntries(testCase.build(Object.values(inputs), float).map((y, i) => [`y${i}`, y])),
  }));
}

/**
 * Σ over the floating-point results, each element weighted differently so that no error cancels; null if there are
 * none. 16-bit results are summed in float32.
 */
function weightedSum(results: readonly Tensor[]): Tensor | null {
  const parts = results
    .filter((y) => isFloat(y.dtype))
    .map((y, i) => {
      const wide = isHalf(y.dtype) ? cast(y, "float32") : y;
      const { data } = randomTensor(new Rng(100 + i), y.shape, wide.dtype, { low: 0.5, high: 1.5 });
      return sum(mul(wide, constant(data, y.shape, wide.dtype)));
    });
  return parts.length === 0 ? null : parts.reduce(add);
}

/**
 * A scalar `loss` of a case and its gradients `g0`, `g1`, … by the floating-point operands (by operand number);
 * null if nothing is floating-point. With `order` 2, the gradients of Σ (gradients)² instead.
 */
export function gradientGraph(testCase: OpCase, float: FloatDType, order: 1 | 2 = 1): Graph | null {
  let found = true;
  const graph = trace(inputSpecs(testCase, float), (inputs) => {
    const operands = Object.values(inputs);
    const targets = operands.filter((t) => isFloat(t.dtype));
    let loss = weightedSum(testCase.build(operands, float));
    if (!loss || targets.length === 0) {
      found = false;
      return { outputs: {} };
    }
    if (order === 2) {
      const first = grad(loss, targets).map((g) => sum(mul(mul(g, g), scalarLike(g, 0.5))));
      loss = first.reduce(add);
    }
    const gradients = grad(loss, targets);
    const named = targets.map((t, i) => [`g${operands.indexOf(t)}`, gradients[i]!] as const);
    return { outputs: { loss, ...Object.fromEntries(named) } };
  });
  return found ? graph : null;
}
