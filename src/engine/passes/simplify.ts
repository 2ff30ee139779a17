/**
 * @file The passes that save work, applied until nothing changes. Every target but `reference` compiles what this
 * returns. Composites stay whole; a target that has no kernels for them decomposes them first.
 */
import type { Graph } from "../graph/graph.ts";
import type { Node } from "../graph/node.ts";
import { applyKernel } from "../targets/reference/interpreter.ts";
import { algebra } from "./algebra.ts";
import { batchedSums } from "./batchedSums.ts";
import { cse } from "./cse.ts";
import { foldConstants } from "./foldConstants.ts";
import { foldEmpty } from "./foldEmpty.ts";
import { mergeScans } from "./mergeScans.ts";
import { pruneScans } from "./pruneScans.ts";

/** Rounds after which a graph is taken as it is; a model's graph settles in two or three. */
const roundsMax = 8;

const passes: readonly ((graph: Graph) => Graph)[] = [
  mergeScans,
  foldEmpty,
  (graph) => foldConstants(graph, (node, inputs) => applyKernel(node as unknown as Node, inputs, noLeaf)),
  algebra,
  batchedSums,
  cse,
  pruneScans,
];

function noLeaf(): never {
  throw new Error("Pareto invariant broken: a constant expression has no leaf but constants");
}

/** The same computation with less work: values agree with the graph's but for rounding. */
export function simplify(graph: Graph): Graph {
  let now = graph;
  for (let round = 0; round < roundsMax; round++) {
    const before = now;
    for (const pass of passes) now = pass(now);
    if (now === before) break;
  }
  return now;
}
