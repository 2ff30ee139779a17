/**
 * @file Finds matrix products together with what can be computed before their sums are stored. A matmul by cuBLASLt
 * takes a bias row, ReLU, and GELU in its tanh form; one of few rows with a matrix `[outputs, inputs]` is a kernel of
 * its own (`matvec.cu`), which takes either GELU, a gate by SiLU and a residual as well.
 */
import { dtypeBytes } from "../../../../base/dtype.ts";
import type { AnyNode, Node, Tensor } from "../../../graph/node.ts";
import { sameShape, sizeOf } from "../../../../base/shape.ts";
import type { MatmulEpilogue } from "../plan.ts";
import { geluChain } from "./geluChain.ts";
import { Uses } from "./uses.ts";

/** What a matmul of few rows does to its sums, after the bias and before the residual. */
export type MatvecActivation = "none" | "relu" | "gelu" | "geluErf" | "siluGate";

/** A matmul and the nodes that it stands for. */
export interface MatmulMatch {
  readonly matmul: Node<"matmul">;
  /** Nodes that the match computes as well, the matmul among them, unless it is the root itself. */
  readonly absorbed: readonly AnyNode[];
  /** a, b and, where there are, the bias `[N]` and the residual. */
  readonly operands: readonly Tensor[];
  /** Of a matmul by cuBLASLt. */
  readonly epilogue: MatmulEpilogue;
  /** Of a matmul of few rows. */
  readonly matvec?: {
    readonly activation: MatvecActivation;
    readonly hasBias: boolean;
    readonly hasResidual: boolean;
  };
}

/** Most rows that are few. */
const FEW_ROWS = 16;
/** Bytes that the kernel for few rows reads at once. */
const ACCESS_BYTES = 16;

/**
 * Matches matmuls.
 * @param nodes in order
 * @param roots tensors wanted besides; none of them is absorbed
 * @returns by the node whose output a match computes
 */
export function matchMatmuls(
  nodes: readonly AnyNode[],
  roots: readonly Tensor[],
): ReadonlyMap<AnyNode, MatmulMatch> {
  const uses = new Uses(nodes, roots);
  const matches = new Map<AnyNode, MatmulMatch>();
  for (const matmul of nodes) {
    if (matmul.op !== "matmul") continue;
    const chain = new Chain(matmul, uses, matches);
    const match = hasFewRows(matmul) ? matvecOf(matmul, chain) : matmulOf(matmul, chain);
    matches.set(chain.top.node as unknown as AnyNode, match);
  }
  return matches;
}

/** What a matmul grows by. */
class Chain {
  readonly uses: Uses;
  readonly absorbed: AnyNode[] = [];
  top: Tensor;
  readonly #matches: ReadonlyMap<AnyNode, MatmulMatch>;

  constructor(matmul: AnyNode, uses: Uses, matches: ReadonlyMap<AnyNode, MatmulMatch>) {
    this.top = matmul.outputs[0]!;
    this.uses = uses;
    this.#matches = matches;
  }

  /** The node that alone reads what there is so far, unless another matmul has taken it. */
  next(): AnyNode | undefined {
    const user = this.uses.onlyUser(this.top);
    return user && !this.#matches.has(user) ? user : undefined;
  }

  /** Takes nodes; the last one gives the result. */
  absorb(...nodes: readonly AnyNode[]): void {
    this.absorbed.push(this.top.node as unknown as AnyNode, ...nodes.slice(0, -1));
    this.top = nodes.at(-1)!.outputs[0]!;
  }

  /** Takes the addition of a bias row, where one follows. */
  bias(): Tensor | undefined {
    const width = this.top.shape.at(-1)!;
    return this.#addend((row) => row.shape.at(-1) === width && sizeOf(row.shape) === width);
  }

  /** Takes the addition of a tensor of the same shape, where one follows. */
  residual(): Tensor | undefined {
    return this.#addend((other) => sameShape(other.shape, this.top.shape));
  }

  #addend(fits: (other: Tensor) => boolean): Tensor | undefined {
    const user = this.next();
    if (user?.op !== "add" || !sameShape(user.outputs[0]!.shape, this.top.shape)) return undefined;
    const other = user.inputs[0] === this.top ? user.inputs[1]! : user.inputs[0]!;
    if (other === this.top || !fits(other)) return undefined;
    this.absorb(user);
    return other;
  }
}

function matmulOf(matmul: Node<"matmul">, chain: Chain): MatmulMatch {
  const bias = chain.bias();
  let activation: "none" | "relu" | "gelu" = "none";
  const next = chain.next();
  if (next?.op === "relu") {
    activation = "relu";
    chain.absorb(next);
  } else {
    const gelu = geluChain(chain.top, chain.uses, ["tanh"]);
    if (gelu) {
      activation = "gelu";
      chain.absorb(...gelu.nodes);
    }
  }
  return {
    matmul,
    absorbed: chain.absorbed,
    operands: [...matmul.inputs, ...(bias ? [bias] : [])],
    epilogue: bias ? (`bias${capital(activation)}` as MatmulEpilogue) : activation,
  };
}

function capital(activation: "none" | "relu" | "gelu"): string {
  return activation === "none" ? "" : activation === "relu" ? "Relu" : "Gelu";
}

/** Whether a matmul is one of few rows with a matrix whose rows are the sums' terms. */
function hasFewRows({ inputs, attrs }: Node<"matmul">): boolean {
  const [a, b] = inputs as [Tensor, Tensor];
  const k = a.shape.at(-1)!;
  return (
    attrs.transposeB &&
    !attrs.transposeA &&
    b.shape.length === 2 &&
    k > 0 &&
    sizeOf(a.shape) > 0 &&
    sizeOf(a.shape) <= FEW_ROWS * k &&
    (k * dtypeBytes(a.dtype)) % ACCESS_BYTES === 0
  );
}

function matvecOf(matmul: Node<"matmul">, chain: Chain): MatmulMatch {
  const bias = chain.bias();
  let activation: MatvecActivation = "none";
  const next = chain.next();
  const gate = siluGate(chain);
  if (next?.op === "relu") {
    activation = "relu";
    chain.absorb(next);
  } else if (gate) {
    activation = "siluGate";
    chain.absorb(...gate);
  } else {
    const gelu = geluChain(chain.top, chain.uses, ["tanh", "erf"]);
    if (gelu) {
      activation = gelu.form === "tanh" ? "gelu" : "geluErf";
      chain.absorb(...gelu.nodes);
    }
  }
  const residual = chain.residual();
  return {
    matmul,
    absorbed: chain.absorbed,
    operands: [...matmul.inputs, ...(bias ? [bias] : []), ...(residual ? [residual] : [])],
    epilogue: "none",
    matvec: { activation, hasBias: bias !== undefined, hasResidual: residual !== undefined },
  };
}

/** The nodes of silu(first half) · (second half), where nothing else reads what there is. */
function siluGate({ top, uses }: Chain): AnyNode[] | undefined {
  const width = top.shape.at(-1)! / 2;
  const last = top.shape.length - 1;
  const halves = uses.of(top);
  if (uses.isKept(top) || halves.length !== 2) return undefined;
  const half = (start: number) =>
    halves.find(
      (node) =>
        node.op === "slice" &&
        node.attrs.starts.every((from, axis) => from === (axis === last ? start : 0)) &&
        node.attrs.steps.every((step) => step === 1) &&
        sizeOf(node.outputs[0]!.shape) * 2 === sizeOf(top.shape) &&
        node.outputs[0]!.shape.at(-1) === width,
    );
  const [gate, up] = [half(0), half(width)];
  if (!gate || !up || uses.isKept(gate.outputs[0]!)) return undefined;
  const readers = uses.of(gate.outputs[0]!);
  const sigmoid = readers.find((node) => node.op === "sigmoid");
  const silu = sigmoid && uses.onlyUser(sigmoid.outputs[0]!);
  if (readers.length !== 2 || silu?.op !== "mul" || !readers.includes(silu)) return undefined;
  const gated = uses.onlyUser(silu.outputs[0]!);
  if (gated?.op !== "mul" || uses.onlyUser(up.outputs[0]!) !== gated) return undefined;
  return [gate, up, sigmoid!, silu, gated];
}
