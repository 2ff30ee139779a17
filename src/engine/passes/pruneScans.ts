/** @file Drops what a loop stores along its steps but nobody reads, and stores each tensor once. */
import type { Graph } from "../graph/graph.ts";
import { Node, type Tensor } from "../graph/node.ts";
import { reachableNodes } from "../graph/rewrite.ts";
import { rewriteGraph, type Replace } from "./rewriteGraph.ts";

function replaceIn(roots: readonly Tensor[]): Replace {
  const read = new Set(roots);
  for (const node of reachableNodes(roots)) for (const t of node.inputs) read.add(t);
  return (node, original) => {
    if (node.op !== "scan") return undefined;
    const { body } = node.attrs;
    const { carries } = body;
    const stored = new Set(body.results.filter((_, i) => i >= carries && read.has(original.outputs[i]!)));
    const results = [...body.results.slice(0, carries), ...stored];
    if (results.length === body.results.length) return undefined;
    const { outputs } = new Node(node.definition, node.inputs, { ...node.attrs, body: { ...body, results } });
    // An output that nobody reads may be stood for by itself: it is out of reach from here on.
    return body.results.map(
      (t, i) => outputs[i < carries ? i : results.indexOf(t, carries)] ?? node.outputs[i]!,
    );
  };
}

/** Leaves each loop with the outputs that are read; carries stay, as the loop itself may need them. */
export function pruneScans(graph: Graph): Graph {
  return rewriteGraph(graph, replaceIn);
}
