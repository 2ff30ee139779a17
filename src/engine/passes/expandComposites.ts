/**
 * @file Takes composites apart into primitives, in the bodies of loops too. Targets without kernels for composites
 * compile what this returns; values are the composites' own, as the expansion is their meaning.
 */
import type { Graph } from "../graph/graph.ts";
import type { AnyNode, Tensor } from "../graph/node.ts";
import type { CompositeName } from "../graph/opAttrs.ts";
import { rewriteGraph } from "./rewriteGraph.ts";

function expanded(
  { definition, inputs, attrs }: AnyNode,
  kept: readonly string[],
): readonly Tensor[] | undefined {
  if (kept.includes(definition.name)) return undefined;
  const expand = definition.expand as
    | ((inputs: readonly Tensor[], attrs: unknown) => readonly Tensor[])
    | undefined;
  return expand?.(inputs, attrs);
}

/** The same graph without composites, but for those to be kept; the graph itself when it has none. */
export function expandComposites(graph: Graph, kept: readonly CompositeName[] = []): Graph {
  // An expansion may use composites in turn, so that one round is not always enough.
  for (let now = graph; ;) {
    const next = rewriteGraph(now, () => (node) => expanded(node, kept));
    if (next === now) return now;
    now = next;
  }
}
