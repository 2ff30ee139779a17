/** @file Common subexpressions: nodes of one op with the same inputs and attributes are computed once. */
import type { Graph } from "../graph/graph.ts";
import type { AnyNode, Tensor } from "../graph/node.ts";
import { rewriteGraph, type Replace } from "./rewriteGraph.ts";

/** Constants up to this many elements are compared by value, larger ones by identity. */
const comparedMax = 4096;

const commutative = new Set(["add", "mul", "equal", "logicalAnd", "logicalOr"]);

/** JSON knows neither NaN, infinities nor −0, which must not be taken for null or 0. */
function distinct(_key: string, value: unknown): unknown {
  return typeof value === "number" && (!Number.isFinite(value) || Object.is(value, -0))
    ? { number: Object.is(value, -0) ? "-0" : String(value) }
    : value;
}

/** Text that two nodes share only if they compute the same; undefined if the node equals no other. */
function keyOf(node: AnyNode): string | undefined {
  const inputs = node.inputs.map((t) => `${t.node.id}:${t.index}`);
  switch (node.op) {
    case "input":
      return undefined;
    case "constant": {
      const { data, shape, dtype } = node.attrs;
      if (data.length > comparedMax) return undefined;
      const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64");
      return `constant ${dtype} [${shape.join()}] ${bytes}`;
    }
    case "scan": {
      const { body, length, reverse } = node.attrs;
      const { parameters, results } = body;
      // Bodies are compared by the nodes they consist of: copies of one loop share them.
      const ids = [...parameters, ...results].map((t) => `${t.node.id}:${t.index}`);
      return `scan ${inputs.join()} ${ids.join()} ${parameters.length} ${body.carries} ${length} ${reverse}`;
    }
    default:
      if (commutative.has(node.op)) inputs.sort();
      return `${node.op} ${inputs.join()} ${JSON.stringify(node.attrs, distinct)}`;
  }
}

function replaceInScope(): Replace {
  const known = new Map<string, readonly Tensor[]>();
  return (node) => {
    const key = keyOf(node);
    if (key === undefined) return undefined;
    const first = known.get(key);
    if (!first) known.set(key, node.outputs);
    return first;
  };
}

/** Lets equal nodes share one computation. */
export function cse(graph: Graph): Graph {
  return rewriteGraph(graph, replaceInScope);
}
