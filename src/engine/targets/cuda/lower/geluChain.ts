/**
 * @file Finds GELU behind a tensor: the nodes that a model writes it with, judged by their values, so that any way to
 * write it is found.
 */
import type { DType } from "../../../../base/dtype.ts";
import type { AnyNode, Tensor } from "../../../graph/node.ts";
import { numberOf } from "../../../../base/half.ts";
import { sameShape, sizeOf } from "../../../../base/shape.ts";
import { erf } from "../../../../base/erf.ts";
import type { Uses } from "./uses.ts";

/** The two forms: by the error function, and by tanh (see `gelu`). */
export type GeluForm = "tanh" | "erf";

/** Nodes that a GELU is written with, at most. */
const NODES_MAX = 16;
/** Places where a chain of nodes must agree with the function. */
const PROBES = [-6.5, -3.1, -1.7, -0.9, -0.33, -0.01, 0.02, 0.4, 0.75, 1.3, 2.2, 4.9];
/** How closely, by the type that the chain's constants are rounded to. */
const tolerances: Readonly<Partial<Record<DType, number>>> = {
  float32: 2e-6,
  float16: 2e-4,
  bfloat16: 2e-3,
};
const functions: Readonly<Record<GeluForm, (x: number) => number>> = {
  tanh: (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  erf: (x) => 0.5 * x * (1 + erf(x * Math.SQRT1_2)),
};

/** The nodes from `x` to its GELU in one of the given forms, in order, when the tensor is used for nothing else. */
export function geluChain(
  x: Tensor,
  uses: Uses,
  forms: readonly GeluForm[],
): { nodes: AnyNode[]; form: GeluForm } | undefined {
  if (uses.isKept(x) || uses.of(x).length < 2) return undefined;
  const chain = new Set<AnyNode>();
  const pending = new Set(uses.of(x));
  while (pending.size > 0) {
    // In order, so that the chain is whole before what reads its result is met.
    const node = [...pending].reduce((first, other) => (other.id < first.id ? other : first));
    pending.delete(node);
    if (!["mul", "add", "tanh", "erf", "pow"].includes(node.op)) return undefined;
    chain.add(node);
    if (chain.size > NODES_MAX) return undefined;
    const ordered = [...chain];
    const inside = (t: Tensor) => t === x || chain.has(t.node as unknown as AnyNode);
    const closed = ordered.every((member) =>
      member.inputs.every((t) => inside(t) || (t.node.op === "constant" && sizeOf(t.shape) === 1)),
    );
    const hidden = ordered.slice(0, -1).every((member) => {
      const out = member.outputs[0]!;
      return !uses.isKept(out) && uses.of(out).every((user) => chain.has(user));
    });
    if (closed && hidden && uses.of(x).every((user) => chain.has(user))) {
      // In 16 bits their values are too close to tell them apart.
      const form = forms.find(
        (name) => ordered.some(({ op }) => op === name) && agrees(x, ordered.at(-1)!, name),
      );
      if (form) return { nodes: ordered, form };
    }
    for (const user of uses.of(node.outputs[0]!)) pending.add(user);
  }
  return undefined;
}

/** Whether a chain of elementwise nodes over `x` is the function, judged by its values. */
function agrees(x: Tensor, last: AnyNode, form: GeluForm): boolean {
  const result = last.outputs[0]!;
  const tolerance = tolerances[x.dtype];
  if (tolerance === undefined || !sameShape(result.shape, x.shape) || sizeOf(x.shape) === 0) return false;
  return PROBES.every(
    (value) =>
      Math.abs(valueAt(x, last, value) - functions[form](value)) <= tolerance * Math.max(1, Math.abs(value)),
  );
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
    case "erf":
      return erf(a!);
    default:
      return Number.NaN;
  }
}
