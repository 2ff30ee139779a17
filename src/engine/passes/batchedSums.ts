/**
 * @file Σ over the batch of aᵀ·b is one product: rows of all matrices below each other. The gradient of a weight that
 * a batch of sequences shares becomes one product instead of one for each sequence and a sum.
 */
import type { Graph } from "../graph/graph.ts";
import { applyAll, type AnyNode, type Node, type Tensor } from "../graph/node.ts";
import { reshape } from "../graph/ops/movement.ts";
import { reachableNodes } from "../graph/rewrite.ts";
import { sameShape, sizeOf } from "../../base/shape.ts";
import { madeBy } from "./constants.ts";
import { rewriteGraph } from "./rewriteGraph.ts";

/** The product over all rows, if `node` sums a batch of such products over all its axes. */
function asOneProduct(node: Node<"sum">): Tensor | undefined {
  const product = madeBy(node.inputs[0]!, "matmul");
  if (!product || !product.attrs.transposeA || product.attrs.transposeB) return undefined;
  const [a, b] = product.inputs as [Tensor, Tensor];
  const { shape } = product.outputs[0]!;
  const batch = shape.slice(0, -2);
  if (!sameShape(a.shape.slice(0, -2), batch) || !sameShape(b.shape.slice(0, -2), batch)) return undefined;
  if (batch.some((n, axis) => n !== 1 && !node.attrs.axes.includes(axis))) return undefined;
  if (node.attrs.axes.some((axis) => axis >= batch.length) || sizeOf(shape) === 0) return undefined;
  const rows = (t: Tensor) => reshape(t, [sizeOf(t.shape.slice(0, -1)), t.shape.at(-1)!]);
  const [one] = applyAll(product.definition, [rows(a), rows(b)], product.attrs);
  return reshape(one!, node.outputs[0]!.shape);
}

/** Turns sums over batches of products into products. */
export function batchedSums(graph: Graph): Graph {
  return rewriteGraph(graph, (roots) => {
    const uses = new Map<Tensor, number>();
    const note = (t: Tensor) => uses.set(t, (uses.get(t) ?? 0) + 1);
    roots.forEach(note);
    for (const node of reachableNodes(roots)) node.inputs.forEach(note);
    return (node: AnyNode, original: AnyNode) => {
      // A batch of products that is read otherwise, too, is computed anyway.
      if (node.op !== "sum" || uses.get(original.inputs[0]!) !== 1) return undefined;
      const made = asOneProduct(node);
      return made && [made];
    };
  });
}
