/**
 * @file Identities of arithmetic and movement. Values stay the same to the last bit, but for the sign of a zero
 * (x + 0) and the rounding of a sum over equal elements. Nothing is assumed finite: x · 0 stays.
 */
import { isHalf } from "../../base/dtype.ts";
import type { Graph } from "../graph/graph.ts";
import { applyAll, type Node, type AnyNode, type Tensor } from "../graph/node.ts";
import type { OpName } from "../graph/opAttrs.ts";
import { cast, mul } from "../graph/ops/elementwise.ts";
import { scalarLike } from "../graph/ops/leaf.ts";
import { broadcastTo, reshape, transpose } from "../graph/ops/movement.ts";
import { sameShape, sizeOf } from "../../base/shape.ts";
import { isFilledWith, madeBy } from "./constants.ts";
import { rewriteGraph } from "./rewriteGraph.ts";

/** Ops that broadcast their operands by themselves, or have one operand and work element by element. */
const pointwise: ReadonlySet<OpName> = new Set<OpName>([
  ...(["neg", "abs", "sign", "exp", "log", "sqrt", "sin", "cos", "tanh", "sigmoid", "softplus"] as const),
  ...(["relu", "erf", "floor", "logicalNot", "cast"] as const),
  ...(["add", "sub", "mul", "div", "pow", "maximum", "minimum", "where"] as const),
  ...(["equal", "less", "lessEqual", "logicalAnd", "logicalOr"] as const),
]);

/** The operand that is left when the other one is neutral: x + 0, x − 0, x · 1, x / 1, x¹. */
function withoutNeutral(node: AnyNode): Tensor | undefined {
  const [a, b] = node.inputs as [Tensor, Tensor];
  switch (node.op) {
    case "add":
      return isFilledWith(b, 0) ? a : isFilledWith(a, 0) ? b : undefined;
    case "mul":
      return isFilledWith(b, 1) ? a : isFilledWith(a, 1) ? b : undefined;
    case "sub":
      return isFilledWith(b, 0) ? a : undefined;
    case "div":
    case "pow":
      return isFilledWith(b, 1) ? a : undefined;
    default:
      return undefined;
  }
}

/** The same op applied before its operands are stretched; stretched afterwards only if still needed. */
function beforeBroadcast(node: AnyNode): Tensor | undefined {
  const sources = node.inputs.map((t) => madeBy(t, "broadcastTo")?.inputs[0] ?? t);
  if (sources.every((t, i) => t === node.inputs[i])) return undefined;
  const [narrow] = applyAll(node.definition as never, sources, node.attrs as never);
  return broadcastTo(narrow!, node.outputs[0]!.shape);
}

/** Movement applied twice, or of elements that are all one. */
function movement(node: AnyNode): Tensor | undefined {
  const [x] = node.inputs as [Tensor];
  const { shape } = node.outputs[0]!;
  switch (node.op) {
    case "reshape":
    case "broadcastTo":
    case "transpose":
    case "slice":
    case "flip":
    case "take":
      break;
    default:
      return undefined;
  }
  const stretched = madeBy(x, "broadcastTo")?.inputs[0];
  if (stretched && sizeOf(stretched.shape) === 1) return broadcastTo(reshape(stretched, []), shape);
  if (node.op === "broadcastTo" && stretched) return broadcastTo(stretched, shape);
  if (node.op === "reshape") {
    const inner = madeBy(x, "reshape")?.inputs[0] ?? x;
    if (inner !== x || sameShape(inner.shape, shape)) return reshape(inner, shape);
  }
  if (node.op === "transpose") {
    const inner = madeBy(x, "transpose");
    const { permutation } = node.attrs;
    if (inner)
      return transpose(
        inner.inputs[0]!,
        permutation.map((axis) => inner.attrs.permutation[axis]!),
      );
    if (permutation.every((axis, i) => axis === i)) return x;
  }
  return undefined;
}

/** Σ over n equal elements is n times one of them. */
function sumOfStretched(node: Node<"sum">): Tensor | undefined {
  const [x] = node.inputs as [Tensor];
  const source = madeBy(x, "broadcastTo")?.inputs[0];
  if (!source || sizeOf(source.shape) !== 1 || sizeOf(x.shape) === 0) return undefined;
  const one = reshape(source, []);
  // A 16-bit float may hold the sum, but not the count.
  const wide = isHalf(x.dtype) ? cast(one, "float32") : one;
  const total = mul(wide, scalarLike(wide, sizeOf(x.shape) / sizeOf(node.outputs[0]!.shape)));
  return broadcastTo(cast(total, x.dtype), node.outputs[0]!.shape);
}

/** A transpose of the last two axes becomes a flag of the matrix product that reads it. */
function matmulOfTransposed(node: Node<"matmul">): Tensor | undefined {
  const swapped = node.inputs.map((t) => {
    const order = madeBy(t, "transpose")?.attrs.permutation;
    const rank = t.shape.length;
    const swapsLast = order?.every((from, to) => from === (to < rank - 2 ? to : 2 * rank - 3 - to));
    return swapsLast ? t.node.inputs[0] : undefined;
  });
  if (swapped.every((t) => t === undefined)) return undefined;
  const { transposeA, transposeB, outDtype } = node.attrs;
  return applyAll(
    node.definition,
    node.inputs.map((t, i) => swapped[i] ?? t),
    {
      transposeA: transposeA !== Boolean(swapped[0]),
      transposeB: transposeB !== Boolean(swapped[1]),
      outDtype,
    },
  )[0];
}

function simpler(node: AnyNode): Tensor | undefined {
  if (node.op === "neg") {
    const inner = madeBy(node.inputs[0]!, "neg");
    if (inner) return inner.inputs[0];
  }
  if (node.op === "pow" && isFilledWith(node.inputs[1]!, 2)) {
    return broadcastTo(mul(node.inputs[0]!, node.inputs[0]!), node.outputs[0]!.shape);
  }
  if (node.op === "sum") return sumOfStretched(node);
  if (node.op === "matmul") return matmulOfTransposed(node);
  const kept = withoutNeutral(node);
  if (kept) return broadcastTo(kept, node.outputs[0]!.shape);
  return pointwise.has(node.op) ? beforeBroadcast(node) : movement(node);
}

/** Applies identities that make a graph smaller or cheaper. */
export function algebra(graph: Graph): Graph {
  return rewriteGraph(graph, () => (node) => {
    const found = simpler(node);
    return found && [found];
  });
}
