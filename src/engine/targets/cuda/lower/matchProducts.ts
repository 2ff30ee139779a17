/**
 * @file Finds matrix products together with what can be computed before their sums are stored: a bias row, ReLU, and
 * GELU in its tanh form.
 */
import type { DType } from "../../../dtype.ts";
import type { AnyNode, Node, Tensor } from "../../../graph/node.ts";
import { numberOf } from "../../../half.ts";
import { sameShape, sizeOf } from "../../../shape.ts";
import type { ProductEpilogue } from "../plan.ts";

/** A product and the nodes that it stands for. */
export interface ProductMatch {
  readonly product: Node<"matmul">;
  /** Nodes that the match computes as well, the product among them, unless it is the root itself. */
  readonly absorbed: readonly AnyNode[];
  /** a, b and, where there is one, the bias `[N]`. */
  readonly operands: readonly Tensor[];
  readonly epilogue: ProductEpilogue;
}

/** Nodes that a tanh GELU is written with, at most. */
const GELU_NODES_MAX = 16;
/** Places where a chain of nodes must agree with the function. */
const PROBES = [-6.5, -3.1, -1.7, -0.9, -0.33, -0.01, 0.02, 0.4, 0.75, 1.3, 2.2, 4.9];
/** How closely, by the type that the chain's constants are rounded to. */
const probeTolerances: Readonly<Partial<Record<DType, number>>> = {
  float32: 2e-6,
  float16: 2e-4,
  bfloat16: 2e-3,
};

/**
 * Matches products.
 * @param nodes in order
 * @param roots tensors wanted besides; none of them is absorbed
 * @returns by the node whose output a match computes
 */
export function matchProducts(
  nodes: readonly AnyNode[],
  roots: readonly Tensor[],
): ReadonlyMap<AnyNode, ProductMatch> {
  const users = usersOf(nodes);
  const kept = new Set(roots);
  const matches = new Map<AnyNode, ProductMatch>();
  for (const product of nodes) {
    if (product.op !== "matmul") continue;
    const absorbed: AnyNode[] = [];
    let top = product.outputs[0]!;
    let bias: Tensor | undefined;
    let activation: "none" | "relu" | "gelu" = "none";
    const absorb = (node: AnyNode): void => {
      absorbed.push(top.node as unknown as AnyNode);
      top = node.outputs[0]!;
    };
    const biased = onlyUser(top, users, kept);
    if (biased?.op === "add" && sameShape(biased.outputs[0]!.shape, top.shape)) {
      const row = biased.inputs[0] === top ? biased.inputs[1]! : biased.inputs[0]!;
      const width = top.shape.at(-1)!;
      if (row !== top && row.shape.at(-1) === width && sizeOf(row.shape) === width) {
        bias = row;
        absorb(biased);
      }
    }
    const next = onlyUser(top, users, kept);
    if (next?.op === "relu") {
      activation = "relu";
      absorb(next);
    } else {
      const chain = geluChain(top, users, kept);
      if (chain) {
        activation = "gelu";
        absorbed.push(top.node as unknown as AnyNode, ...chain.slice(0, -1));
        top = chain.at(-1)!.outputs[0]!;
      }
    }
    const epilogue = bias ? (`bias${capital(activation)}` as ProductEpilogue) : activation;
    const operands = [...product.inputs, ...(bias ? [bias] : [])];
    matches.set(top.node as unknown as AnyNode, { product, absorbed, operands, epilogue });
  }
  return matches;
}

function capital(activation: "none" | "relu" | "gelu"): string {
  return activation === "none" ? "" : activation === "relu" ? "Relu" : "Gelu";
}

function usersOf(nodes: readonly AnyNode[]): Map<Tensor, AnyNode[]> {
  const users = new Map<Tensor, AnyNode[]>();
  for (const node of nodes) {
    for (const t of node.inputs) users.set(t, [...(users.get(t) ?? []), node]);
  }
  return users;
}

/** The node that alone uses a tensor, once. */
function onlyUser(
  t: Tensor,
  users: ReadonlyMap<Tensor, AnyNode[]>,
  kept: ReadonlySet<Tensor>,
): AnyNode | undefined {
  const found = users.get(t) ?? [];
  return found.length === 1 && !kept.has(t) ? found[0] : undefined;
}

/** The nodes from `x` to its GELU, in order, when the tensor is used for nothing else. */
function geluChain(
  x: Tensor,
  users: ReadonlyMap<Tensor, AnyNode[]>,
  kept: ReadonlySet<Tensor>,
): AnyNode[] | undefined {
  if (kept.has(x) || (users.get(x)?.length ?? 0) < 2) return undefined;
  const chain = new Set<AnyNode>();
  const pending = [...users.get(x)!];
  for (let node = pending.pop(); node; node = pending.pop()) {
    if (chain.has(node)) continue;
    if (node.op !== "mul" && node.op !== "add" && node.op !== "tanh" && node.op !== "pow") return undefined;
    chain.add(node);
    if (chain.size > GELU_NODES_MAX) return undefined;
    const ordered = [...chain].sort((a, b) => a.id - b.id);
    const inside = (t: Tensor) => t === x || chain.has(t.node as unknown as AnyNode);
    const closed = ordered.every((member) =>
      member.inputs.every((t) => inside(t) || (t.node.op === "constant" && sizeOf(t.shape) === 1)),
    );
    const last = ordered.at(-1)!;
    const hidden = ordered.slice(0, -1).every((member) => {
      const out = member.outputs[0]!;
      return !kept.has(out) && (users.get(out) ?? []).every((user) => chain.has(user));
    });
    const xStays = users.get(x)!.every((user) => chain.has(user));
    if (closed && hidden && xStays && isGelu(x, last)) return ordered;
    for (const user of users.get(node.outputs[0]!) ?? []) pending.push(user);
  }
  return undefined;
}

/** Whether a chain of elementwise nodes over `x` is the tanh form of GELU, judged by its values. */
function isGelu(x: Tensor, last: AnyNode): boolean {
  const result = last.outputs[0]!;
  const tolerance = probeTolerances[x.dtype];
  if (tolerance === undefined || !sameShape(result.shape, x.shape) || sizeOf(x.shape) === 0) return false;
  return PROBES.every((value) => {
    const inner = Math.sqrt(2 / Math.PI) * (value + 0.044715 * value ** 3);
    const want = 0.5 * value * (1 + Math.tanh(inner));
    return Math.abs(valueAt(x, last, value) - want) <= tolerance * Math.max(1, Math.abs(value));
  });
}

/** The chain's value where every element of `x` is `value`. */
function valueAt(x: Tensor, last: AnyNode, value: number): number {
  const values = new Map<Tensor, number>([[x, value]]);
  const at = (t: Tensor): number => {
    const known = values.get(t);
    if (known !== undefined) return known;
    const node = t.node as unknown as AnyNode;
    const computed =
      node.op === "constant" ? numberOf(node.attrs.data[0]!, t.dtype) : scalar(node.op, node.inputs.map(at));
    values.set(t, computed);
    return computed;
  };
  return at(last.outputs[0]!);
}

function scalar(op: string, [a, b]: readonly number[]): number {
  switch (op) {
    case "mul":
      return a! * b!;
    case "add":
      return a! + b!;
    case "pow":
      return a! ** b!;
    case "tanh":
      return Math.tanh(a!);
    default:
      return Number.NaN;
  }
}
