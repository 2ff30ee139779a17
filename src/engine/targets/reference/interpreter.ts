/**
 * @file The interpreter: visits the nodes of a graph in order and applies each one's kernel. The meaning of every
 * primitive is stated by the kernels in this folder; other targets are tested against them. Composites must have
 * been decomposed.
 */
import { allocate, isHalf, type DType, type TypedArray } from "../../../base/dtype.ts";
import type { Node, Tensor } from "../../graph/node.ts";
import type { OpName, PrimitiveName } from "../../graph/opAttrs.ts";
import { reachableNodes } from "../../graph/rewrite.ts";
import { encodeHalf, numbersOf, roundToHalf } from "../../../base/half.ts";
import { sizeOf } from "../../../base/shape.ts";
import { contractionKernels } from "./contraction.ts";
import { broadcastingKernels, unaryKernels } from "./elementwise.ts";
import { indexingKernels } from "./indexing.ts";
import type { Interpreter, Kernel, KernelTable, LeafValues } from "./kernel.ts";
import { leafKernels } from "./leaf.ts";
import { movementKernels } from "./movement.ts";
import { reduceKernels } from "./reduce.ts";
import { scanKernels } from "./scan.ts";

/** Every primitive has a kernel: a missing one is a compile error. */
const kernels: KernelTable = {
  ...leafKernels,
  ...unaryKernels,
  ...broadcastingKernels,
  ...movementKernels,
  ...reduceKernels,
  ...contractionKernels,
  ...indexingKernels,
  ...scanKernels,
};

/** Applies a kernel to numbers; 16-bit floats are rounded from the float64 that the kernel stored. */
function compute(node: Node, inputs: readonly TypedArray[], leafValues: LeafValues): readonly TypedArray[] {
  const outputs = node.outputs.map(({ dtype, shape }) =>
    allocate(isHalf(dtype) ? "float64" : dtype, sizeOf(shape)),
  );
  const kernel = kernels[node.op as PrimitiveName] as Kernel<OpName>;
  kernel({ node, inputs, outputs, leafValues, interpreter });
  node.outputs.forEach(({ dtype }, i) => {
    if (isHalf(dtype)) roundToHalf(dtype, outputs[i] as Float64Array);
  });
  return outputs;
}

/** A node's outputs from its inputs, as host arrays. */
export function applyKernel(
  node: Node,
  inputs: readonly TypedArray[],
  leafValues: LeafValues,
): readonly TypedArray[] {
  const numbers = inputs.map((array, i) => numbersOf(array, node.inputs[i]!.dtype));
  return compute(node, numbers, leafValues).map((values, i) => hostArrayOf(values, node.outputs[i]!.dtype));
}

/** A host array of its own of what was computed. */
export function hostArrayOf(values: TypedArray, dtype: DType): TypedArray {
  return isHalf(dtype) ? encodeHalf(dtype, values) : values.slice();
}

/** Prepares the computation of some tensors; what it returns may run any number of times. */
export function interpreter(results: readonly Tensor[]): Interpreter {
  const nodes = reachableNodes(results) as unknown as Node[];
  return (leafValues) => {
    const computed = new Map<Node, readonly TypedArray[]>();
    const valueOf = (t: Tensor) => computed.get(t.node)![t.index]!;
    for (const node of nodes) computed.set(node, compute(node, node.inputs.map(valueOf), leafValues));
    return results.map(valueOf);
  };
}
