/**
 * @file The interpreter: walks a graph in order and applies each node's kernel. The meaning of every op is stated
 * by the kernels in this folder; other targets are tested against them.
 */
import { allocate, type TypedArray } from "../../dtype.ts";
import type { Node, Tensor } from "../../graph/node.ts";
import type { OpName } from "../../graph/opAttrs.ts";
import { reachableNodes } from "../../graph/rewrite.ts";
import { sizeOf } from "../../shape.ts";
import { contractionKernels } from "./contraction.ts";
import { broadcastingKernels, unaryKernels } from "./elementwise.ts";
import { indexingKernels } from "./indexing.ts";
import type { Interpreter, Kernel, KernelTable, LeafValues } from "./kernel.ts";
import { leafKernels } from "./leaf.ts";
import { movementKernels } from "./movement.ts";
import { reduceKernels } from "./reduce.ts";
import { scanKernels } from "./scan.ts";

/** Every op has a kernel: a missing one is a compile error. */
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

/** Computes a node's outputs from its inputs' elements, in new arrays. */
export function applyKernel(
  node: Node,
  inputs: readonly TypedArray[],
  leafValues: LeafValues,
): readonly TypedArray[] {
  const outputs = node.outputs.map(({ dtype, shape }) => allocate(dtype, sizeOf(shape)));
  const kernel = kernels[node.op] as Kernel<OpName>;
  kernel({ node, inputs, outputs, leafValues, interpreter });
  return outputs;
}

/** Prepares the computation of some tensors; what it returns may run any number of times. */
export function interpreter(results: readonly Tensor[]): Interpreter {
  const nodes = reachableNodes(results) as unknown as Node[];
  return (leafValues) => {
    const computed = new Map<Node, readonly TypedArray[]>();
    const valueOf = (t: Tensor) => computed.get(t.node)![t.index]!;
    for (const node of nodes) computed.set(node, applyKernel(node, node.inputs.map(valueOf), leafValues));
    return results.map(valueOf);
  };
}
