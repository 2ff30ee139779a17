/**
 * @file Traversing and rebuilding graphs. Both rely on ids: a node's inputs always have smaller ids than the node,
 * so ascending ids are a topological order and no traversal recurses, whatever the depth of the graph.
 */
import { Node, type AnyNode, type Tensor } from "./node.ts";

/** All nodes that the tensors depend on, themselves included, producers first. */
export function reachableNodes(tensors: Iterable<Tensor>): AnyNode[] {
  const seen = new Set<Node>();
  const stack = [...tensors].map((t) => t.node);
  for (let node = stack.pop(); node; node = stack.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    for (const t of node.inputs) stack.push(t.node);
  }
  return [...seen].sort((a, b) => a.id - b.id) as unknown as AnyNode[];
}

/** The same op on other inputs; the node itself when none has changed. */
export function withInputs(node: AnyNode, inputs: readonly Tensor[]): AnyNode {
  if (inputs.every((t, i) => t === node.inputs[i])) return node;
  return new Node(node.definition as never, inputs, node.attrs as never) as unknown as AnyNode;
}

/**
 * Rebuilds the part of a graph above some tensors.
 * @param roots the tensors wanted
 * @param replace what stands for a node's outputs, given its rebuilt inputs; undefined keeps the node
 * @returns what stands for each root
 */
export function rewrite(
  roots: readonly Tensor[],
  replace: (node: AnyNode, inputs: readonly Tensor[]) => readonly Tensor[] | undefined,
): Tensor[] {
  const outputs = new Map<AnyNode, readonly Tensor[]>();
  const map = (t: Tensor) => outputs.get(t.node as unknown as AnyNode)![t.index]!;
  for (const node of reachableNodes(roots)) {
    const inputs = node.inputs.map(map);
    outputs.set(node, replace(node, inputs) ?? withInputs(node, inputs).outputs);
  }
  return roots.map(map);
}

/** Rebuilds with some tensors replaced by others. */
export function substitute(roots: readonly Tensor[], replacements: ReadonlyMap<Tensor, Tensor>): Tensor[] {
  const touched = new Set([...replacements.keys()].map((t) => t.node));
  return rewrite(roots, (node, inputs) => {
    if (!touched.has(node as unknown as Node)) return undefined;
    const kept = withInputs(node, inputs).outputs;
    return node.outputs.map((t, i) => replacements.get(t) ?? kept[i]!);
  });
}
