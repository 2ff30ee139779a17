/** @file Computes once, at compile time, what depends on constants only. */
import type { TypedArray } from "../../base/dtype.ts";
import type { Graph } from "../graph/graph.ts";
import type { AnyNode, Tensor } from "../graph/node.ts";
import { constant } from "../graph/ops/leaf.ts";
import { sizeOf } from "../../base/shape.ts";
import { madeBy } from "./constants.ts";
import { rewriteGraph } from "./rewriteGraph.ts";

/** Results of more elements than this are computed by the program. */
const elementsMax = 65_536;
/** A result may outgrow its operands up to this many elements: storing it costs nothing worth naming. */
const growthMax = 1024;

/** Computes a node's outputs, given its inputs' elements. */
export type Evaluate = (node: AnyNode, inputs: readonly TypedArray[]) => readonly TypedArray[];

/**
 * Replaces nodes whose inputs are all constants by what they amount to.
 * `broadcastTo` stays: its consumers broadcast by themselves, and a stored scalar is smaller than a filled tensor.
 * Composites stay too: there are no rules to evaluate them whole.
 */
export function foldConstants(graph: Graph, evaluate: Evaluate): Graph {
  const replace = (node: AnyNode): readonly Tensor[] | undefined => {
    if (node.inputs.length === 0 || node.op === "broadcastTo" || node.definition.decompose) return undefined;
    const sources = node.inputs.map((t) => madeBy(t, "constant"));
    if (!sources.every((source) => source !== undefined)) return undefined;
    const given = node.inputs.reduce((n, t) => n + sizeOf(t.shape), 0);
    const made = node.outputs.reduce((n, t) => n + sizeOf(t.shape), 0);
    if (made > elementsMax || made > Math.max(given, growthMax)) return undefined;
    const values = evaluate(
      node,
      sources.map((source) => source.attrs.data),
    );
    return node.outputs.map(({ shape, dtype }, i) => constant(values[i]!, shape, dtype));
  };
  return rewriteGraph(graph, () => replace);
}
