/**
 * @file Lets kernels over float32 serve 16-bit floats: their operands are converted, and so are their results, which
 * are thereby rounded once. Generated code, matrix products, attention and the
 * kernels over rows take 16-bit floats as they are.
 */
import { isHalf } from "../../../../base/dtype.ts";
import type { Graph } from "../../../graph/graph.ts";
import { applyAll, type AnyNode, type Tensor } from "../../../graph/node.ts";
import type { OpName } from "../../../graph/opAttrs.ts";
import { cast } from "../../../graph/ops/elementwise.ts";
import { rewriteGraph } from "../../../passes/rewriteGraph.ts";

/** Ops whose hand-written kernels compute with float32 in memory. */
const overFloat32: ReadonlySet<OpName> = new Set<OpName>([
  "argmax",
  "cumsum",
  "conv1d",
  "conv1dInputGradient",
  "conv1dKernelGradient",
  "dotInteraction",
  "dotInteractionGradient",
  "featureInteraction",
  "featureInteractionGradient",
  "lstmScan",
  "lstmScanGradient",
  "scatterAdd",
]);

function widened(node: AnyNode): readonly Tensor[] | undefined {
  if (!overFloat32.has(node.op) || !node.inputs.some((t) => isHalf(t.dtype))) return undefined;
  const inputs = node.inputs.map((t) => (isHalf(t.dtype) ? cast(t, "float32") : t));
  const outputs = applyAll(node.definition as never, inputs, node.attrs as never);
  return outputs.map((t, i) => cast(t, node.outputs[i]!.dtype));
}

/** The same graph without 16-bit operands of ops whose kernels lack them; the graph itself when it has none. */
export function widenHalf(graph: Graph): Graph {
  return rewriteGraph(graph, () => widened);
}
