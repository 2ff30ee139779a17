/**
 * @file Decides which tensors are written to memory. All others are computed inside the kernels that read them.
 *
 * Written are: what anchors (ops with a rule, matrix products) read or make, results of reductions, the results wanted,
 * and intermediate tensors whose repeated computation would cost more memory traffic than one write and the reads, or
 * that would make a kernel grow without bound.
 */
import type { AnyNode, Tensor } from "../../../graph/node.ts";
import { sizeOf } from "../../../../base/shape.ts";
import { alignedSliceOf, sameElements } from "./aliases.ts";
import { isElementwise, isHeavy } from "./scalarCode.ts";

/** What compiles a node. */
export type NodeClass = "leaf" | "fused" | "reduction" | "anchor";

/** Whether a product has nothing to add up: each element is one product of two, as in elementwise work. */
export function isOuterProduct(node: AnyNode): boolean {
  return node.op === "matmul" && node.inputs[0]!.shape.at(node.attrs.transposeA ? -2 : -1) === 1;
}

/** The class of a node that is not part of a matched product. */
export function classify(node: AnyNode): NodeClass {
  if (isElementwise(node)) return "fused";
  switch (node.op) {
    case "input":
    case "state":
    case "constant":
      return "leaf";
    case "reshape":
    case "broadcastTo":
    case "transpose":
    case "slice":
    case "pad":
    case "concat":
    case "flip":
    case "take":
    case "gather":
    case "random":
    case "matmul":
      return "fused";
    case "sum":
    case "max":
      return "reduction";
    default:
      return "anchor";
  }
}

/** Nodes to lower, in order; inputs and class take account of matched products. */
export interface LoweredNode {
  readonly node: AnyNode;
  readonly class: NodeClass;
  readonly inputs: readonly Tensor[];
}

/** A concat of more parts is always written: its readers would test too many conditions. */
const PARTS_MAX = 4;
/** How often one kernel may compute a tensor, at different indices. */
const REPEATS_MAX = 4;
/** Ops inlined into one kernel. */
const OPS_MAX = 160;
/** A tensor so many times smaller than what reads it is computed apart unless it is simple. */
const STRETCH_MAX = 8;
const SIMPLE_OPS_MAX = 6;
const SIMPLE_LOADS_MAX = 3;
/** What a heavy and a plain instruction cost, in loads. */
const HEAVY_COST = 0.5;
const OP_COST = 0.03;

/** Work to compute one element. */
interface Work {
  loads: number;
  ops: number;
  heavy: number;
}

/** How often each kernel computes a tensor: at the index of an elementwise reader, and at other ones. */
interface Uses {
  readonly aligned: Map<Tensor, number>;
  readonly moved: Map<Tensor, number>;
}

/** The kernels a tensor is computed in, named by what they write, and how often. */
function repeats({ aligned, moved }: Uses): Map<Tensor, number> {
  const all = new Map(aligned);
  for (const [kernel, times] of moved) all.set(kernel, (all.get(kernel) ?? 0) + times);
  return all;
}

/**
 * Chooses the tensors to write.
 * @param nodes in order
 * @param wanted the results
 * @returns tensors of fused nodes that are written, besides those of reductions and anchors
 */
export function materialize(nodes: readonly LoweredNode[], wanted: readonly Tensor[]): Set<Tensor> {
  const classOf = new Map(nodes.map((n) => [n.node, n.class]));
  const isFused = (t: Tensor) => classOf.get(t.node as unknown as AnyNode) === "fused";
  const written = new Set<Tensor>();
  const require = (t: Tensor, mayBeSlice: boolean) => {
    let base = sameElements(t);
    const slice = mayBeSlice ? alignedSliceOf(base) : undefined;
    if (slice && !isFused(sameElements(slice.whole))) base = sameElements(slice.whole);
    if (isFused(base)) written.add(base);
  };
  for (const t of wanted) require(t, false);
  for (const n of nodes) if (n.class === "anchor") n.inputs.forEach((t) => require(t, true));

  const works = workOf(nodes, written);
  const uses = new Map<Tensor, Uses>();
  const domains = new Map<Tensor, number>();
  const ops = new Map<Tensor, number>();
  const use = (t: Tensor, kernel: Tensor, times: number, isMoved: boolean) => {
    let found = uses.get(t);
    if (!found) uses.set(t, (found = { aligned: new Map(), moved: new Map() }));
    if (isMoved) found.moved.set(kernel, (found.moved.get(kernel) ?? 0) + times);
    else found.aligned.set(kernel, Math.max(found.aligned.get(kernel) ?? 0, times));
  };

  for (const { node, class: kind, inputs } of nodes.toReversed()) {
    const t = node.outputs[0]!;
    if (kind === "reduction") {
      domains.set(t, sizeOf(inputs[0]!.shape));
      use(inputs[0]!, t, 1, false);
    }
    if (kind !== "fused") continue;
    const found = uses.get(t);
    if (!found && !written.has(t)) continue;
    let kernels = found ? repeats(found) : new Map<Tensor, number>();
    const base = sameElements(t);
    if (base !== t) {
      // Another shape of a tensor: that one is written, and this one costs nothing.
      if (isFused(base) && !mayInline(node, kernels, works.get(t)!, domains, ops)) written.add(base);
    } else if (written.has(t) || !mayInline(node, kernels, works.get(t)!, domains, ops)) {
      written.add(t);
      kernels = new Map([[t, 1]]);
      domains.set(t, sizeOf(t.shape));
    }
    for (const [kernel, times] of kernels) ops.set(kernel, (ops.get(kernel) ?? 0) + times * opsOf(node));
    node.inputs.forEach((x, i) => {
      const moves = isMoving(node, i);
      for (const [kernel, times] of kernels) use(x, kernel, times, moves);
    });
  }
  return written;
}

function mayInline(
  node: AnyNode,
  kernels: ReadonlyMap<Tensor, number>,
  work: Work,
  domains: ReadonlyMap<Tensor, number>,
  ops: ReadonlyMap<Tensor, number>,
): boolean {
  const t = node.outputs[0]!;
  if (node.op === "concat" && (node.inputs.length > PARTS_MAX || kernels.size > 1)) return false;
  const cost = work.loads + HEAVY_COST * work.heavy + OP_COST * work.ops;
  const isFree = work.loads === 0 && work.heavy === 0;
  const simple = work.heavy === 0 && work.ops <= SIMPLE_OPS_MAX && work.loads <= SIMPLE_LOADS_MAX;
  for (const [kernel, times] of kernels) {
    if (times > REPEATS_MAX && !isFree) return false;
    if ((ops.get(kernel) ?? 0) + times * opsOf(node) > OPS_MAX) return false;
    if (!simple && domains.get(kernel)! * times >= STRETCH_MAX * sizeOf(t.shape)) return false;
  }
  // Computed anew by each reader, or written once and read by each.
  return isFree || kernels.size * cost <= cost + 1 + kernels.size;
}

function opsOf(node: AnyNode): number {
  return node.op === "concat" ? 2 * node.inputs.length : isHeavy(node) ? 3 : 1;
}

/** Whether an operand is read at another index than the result is written at. */
function isMoving(node: AnyNode, operand: number): boolean {
  switch (node.op) {
    case "transpose":
    case "slice":
    case "pad":
    case "concat":
    case "flip":
    case "take":
      return true;
    case "gather":
      return operand === 0;
    default:
      return false;
  }
}

/** What one element of each tensor costs if all that may be is computed in place. */
function workOf(nodes: readonly LoweredNode[], written: ReadonlySet<Tensor>): Map<Tensor, Work> {
  const works = new Map<Tensor, Work>();
  for (const { node, class: kind, inputs } of nodes) {
    for (const t of node.outputs) {
      if (kind !== "fused") {
        works.set(t, { loads: node.op === "constant" && sizeOf(t.shape) === 1 ? 0 : 1, ops: 0, heavy: 0 });
        continue;
      }
      const work = { loads: 0, ops: opsOf(node), heavy: isHeavy(node) ? 1 : 0 };
      for (const x of new Set(inputs)) {
        const of = written.has(x) ? { loads: 1, ops: 0, heavy: 0 } : works.get(x)!;
        const share = Math.min(1, sizeOf(x.shape) / Math.max(1, sizeOf(t.shape)));
        work.loads += of.loads * share;
        work.ops += of.ops;
        work.heavy += of.heavy;
      }
      works.set(t, work);
    }
  }
  return works;
}
