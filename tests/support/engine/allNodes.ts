/** @file All nodes of a graph, those in the bodies of its loops included. */
import { rootsOf, type Graph } from "../../../src/engine/graph/graph.ts";
import type { AnyNode } from "../../../src/engine/graph/node.ts";
import type { OpName } from "../../../src/engine/graph/opAttrs.ts";
import { reachableNodes } from "../../../src/engine/graph/rewrite.ts";

/** Every node; those in bodies follow their loop. */
export function allNodes(graph: Graph): AnyNode[] {
  const within = (nodes: AnyNode[]): AnyNode[] =>
    nodes.flatMap((node) =>
      node.op === "scan" ? [node, ...within(reachableNodes(node.attrs.body.results))] : [node],
    );
  return within(reachableNodes(rootsOf(graph)));
}

/** How many nodes of each op a graph has. */
export function opCounts(graph: Graph): Partial<Record<OpName, number>> {
  const counts: Partial<Record<OpName, number>> = {};
  for (const { op } of allNodes(graph)) counts[op] = (counts[op] ?? 0) + 1;
  return counts;
}
