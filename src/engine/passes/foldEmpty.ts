/**
 * @file Takes tensors without elements out of a graph: they become constants, and so do sums and products over
 * nothing, which are zeros. Inputs, states and constants without elements stay, as do loops that use them.
 */
import type { Graph } from "../graph/graph.ts";
import type { AnyNode, Tensor } from "../graph/node.ts";
import { concat } from "../graph/ops/movement.ts";
import { sizeOf } from "../../base/shape.ts";
import { filled } from "./constants.ts";
import { rewriteGraph } from "./rewriteGraph.ts";

const isEmpty = (t: Tensor) => sizeOf(t.shape) === 0;

/** What a node with an empty input, but not only empty outputs, amounts to. */
function overNothing(node: AnyNode): readonly Tensor[] | undefined {
  switch (node.op) {
    case "sum":
    case "matmul":
    case "conv1d":
    case "conv1dInputGradient":
    case "conv1dKernelGradient":
    case "dotInteraction":
    case "dotInteractionGradient":
    case "scatterAdd":
      return [filled(node.outputs[0]!, 0)];
    case "featureInteraction":
    case "featureInteractionGradient":
      return node.definition.decompose!(node.inputs, node.attrs);
    case "layerNormGradient":
      return node.outputs.map((t) => filled(t, 0));
    case "pad":
      return [filled(node.outputs[0]!, node.attrs.value)];
    case "concat":
      return [
        concat(
          node.inputs.filter((t) => !isEmpty(t)),
          node.attrs.axis,
        ),
      ];
    default:
      return undefined;
  }
}

function replace(node: AnyNode): readonly Tensor[] | undefined {
  if (node.op === "constant" || node.op === "input" || node.op === "state") return undefined;
  if (node.op === "scan" && node.attrs.length === 0) {
    const { constants, carries } = node.attrs.body;
    const init = node.inputs.slice(constants, constants + carries);
    return node.outputs.map((t, i) => init[i] ?? filled(t, 0));
  }
  if (node.outputs.every(isEmpty)) return node.outputs.map((t) => filled(t, 0));
  return node.inputs.some(isEmpty) ? overNothing(node) : undefined;
}

/** Replaces what is computed of nothing by constants. */
export function foldEmpty(graph: Graph): Graph {
  return rewriteGraph(graph, () => replace);
}
