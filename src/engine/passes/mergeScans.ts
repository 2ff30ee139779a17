/**
 * @file Merges scans that run the same loop. The gradient of a scan stores what it needs of the forward steps in
 * an extended copy of the forward scan; merged with the original, the forward work is done once.
 */
import type { Graph } from "../graph/graph.ts";
import { Node, type Tensor } from "../graph/node.ts";
import { reachableNodes } from "../graph/rewrite.ts";
import { rewriteGraph, type Replace } from "./rewriteGraph.ts";

type Scan = Node<"scan">;

/**
 * Whether two scans run the same loop and differ at most in what they give out. An extended copy shares the list
 * of parameters with its original, and nothing else does; ids would not do, as rewriting changes them.
 */
function sameLoop(a: Scan, b: Scan): boolean {
  return (
    a.attrs.body.parameters === b.attrs.body.parameters &&
    a.attrs.length === b.attrs.length &&
    a.attrs.reverse === b.attrs.reverse &&
    a.inputs.every((t, i) => t === b.inputs[i])
  );
}

/** One scan that gives out whatever any of the members does, each tensor of the body once. */
function union(members: readonly Scan[], inputs: readonly Tensor[]): Scan {
  const { definition, attrs } = members[0]!;
  const { body, length, reverse } = attrs;
  const given = new Set(members.flatMap((m) => m.attrs.body.results.slice(body.carries)));
  const results = [...body.results.slice(0, body.carries), ...given];
  return new Node(definition, inputs, { body: { ...body, results }, length, reverse });
}

function replaceIn(roots: readonly Tensor[]): Replace {
  const groups: Scan[][] = [];
  const groupOf = new Map<unknown, Scan[]>();
  for (const node of reachableNodes(roots)) {
    if (node.op !== "scan") continue;
    let group = groups.find((g) => sameLoop(g[0]!, node));
    if (!group) groups.push((group = []));
    group.push(node);
    groupOf.set(node, group);
  }
  const merged = new Map<Scan[], Scan>();
  return (node, original) => {
    if (original.op !== "scan") return undefined;
    const group = groupOf.get(original)!;
    if (group.length === 1) return undefined;
    const one = merged.get(group) ?? union(group, node.inputs);
    merged.set(group, one);
    const { carries, results } = original.attrs.body;
    return results.map((t, i) => one.outputs[i < carries ? i : one.attrs.body.results.indexOf(t, carries)]!);
  };
}

/** Lets scans over the same inputs that run the same loop share one; loops within merged bodies take another pass. */
export function mergeScans(graph: Graph): Graph {
  return rewriteGraph(graph, replaceIn);
}
