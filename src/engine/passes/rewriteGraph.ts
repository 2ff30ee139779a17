/**
 * @file Rewriting whole graphs, the bodies of their scans included. Passes are functions from a graph to a graph;
 * what they leave alone keeps its identity, so "nothing changed" is a comparison of tensors.
 */
import { invariant } from "../../base/errors.ts";
import { rootsOf, stateName, type Graph, type StateUpdate } from "../graph/graph.ts";
import { Node, type AnyNode, type Tensor } from "../graph/node.ts";
import { reachableNodes, rewrite, withInputs } from "../graph/rewrite.ts";
import { formatShape, sameShape } from "../../base/shape.ts";

/** What stands for a node's outputs, given the node on its rebuilt inputs; undefined keeps that. */
export type Replace = (node: AnyNode, original: AnyNode) => readonly Tensor[] | undefined;

/** The same scan over another body and other inputs; the node itself when nothing has changed. */
function withBody(node: Node<"scan">, inputs: readonly Tensor[], results: readonly Tensor[]): AnyNode {
  const { attrs } = node;
  if (results.every((t, i) => t === attrs.body.results[i])) return withInputs(node, inputs);
  const rebuilt = new Node(node.definition, inputs, { ...attrs, body: { ...attrs.body, results } });
  return rebuilt as unknown as AnyNode;
}

/**
 * Rebuilds tensors and, one level after the other, the bodies of the scans above them.
 * @param begin called for the graph and for each body on its own; returns that scope's replacements
 */
function rewriteScopes(roots: readonly Tensor[], begin: (roots: readonly Tensor[]) => Replace): Tensor[] {
  const replace = begin(roots);
  return rewrite(roots, (node, inputs) => {
    const rebuilt =
      node.op === "scan"
        ? withBody(node, inputs, rewriteScopes(node.attrs.body.results, begin))
        : withInputs(node, inputs);
    const stand = replace(rebuilt, node) ?? rebuilt.outputs;
    stand.forEach((t, i) => {
      const { dtype, shape } = node.outputs[i]!;
      invariant(
        t.dtype === dtype && sameShape(t.shape, shape),
        `a pass replaced ${node.op} ${dtype} ${formatShape(shape)} by ${t.dtype} ${formatShape(t.shape)}`,
      );
    });
    return stand;
  });
}

/** Rebuilds a graph. Inputs stay as they were; states that nothing reads or updates any more are dropped. */
export function rewriteGraph(graph: Graph, begin: (roots: readonly Tensor[]) => Replace): Graph {
  const before = rootsOf(graph);
  const after = rewriteScopes(before, begin);
  if (after.every((t, i) => t === before[i])) return graph;
  const names = Object.keys(graph.outputs);
  const updates = graph.updates.map(([state], i): StateUpdate => [state, after[names.length + i]!]);
  const used = new Set(updates.map(([state]) => stateName(state)));
  for (const node of reachableNodes(after)) if (node.op === "state") used.add(node.attrs.name);
  return {
    inputs: graph.inputs,
    outputs: Object.fromEntries(names.map((name, i) => [name, after[i]!])),
    updates,
    states: graph.states.filter((state) => used.has(stateName(state))),
  };
}
