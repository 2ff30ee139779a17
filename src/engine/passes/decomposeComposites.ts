/**
 * @file Takes composites apart into primitives, in the bodies of loops too. Targets without kernels for composites
 * compile what this returns; values are the composites' own, as the decomposition is their meaning.
 */
import type { Graph } from "../graph/graph.ts";
import type { AnyNode, Tensor } from "../graph/node.ts";
import type { CompositeName } from "../graph/opAttrs.ts";
import { rewriteGraph } from "./rewriteGraph.ts";

function decomposed(
  { definition, inputs, attrs }: AnyNode,
  kept: readonly string[],
): readonly Tensor[] | undefined {
  if (kept.includes(definition.name)) return undefined;
  const decompose = definition.decompose as
    | ((inputs: readonly Tensor[], attrs: unknown) => readonly Tensor[])
    | undefined;
  return decompose?.(inputs, attrs);
}

/** The same graph without composites, but for those to be kept; the graph itself when it has none. */
export function decomposeComposites(graph: Graph, kept: readonly CompositeName[] = []): Graph {
  // A decomposition may use composites in turn, so that one round is not always enough.
  for (let now = graph; ;) {
    const next = rewriteGraph(now, () => (node) => decomposed(node, kept));
    if (next === now) return now;
    now = next;
  }
}
