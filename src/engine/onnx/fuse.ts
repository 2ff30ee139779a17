/** @file The one fusion that ONNX Runtime does not find by itself: a matrix product and the bias added to it, as one Gemm. */
import type { AnyNode, Node, Tensor } from "../graph/node.ts";
import type { OnnxBuilder } from "./builder.ts";

/** A product and the row added to it. */
export interface Biased {
  product: Node<"matmul">;
  bias: Tensor;
}

/** Sums that are biased products, and the products that are emitted with them. */
interface Biases {
  sums: ReadonlyMap<AnyNode, Biased>;
  products: ReadonlySet<AnyNode>;
}

/** Finds sums of a two-axis product of its operands' type, used nowhere else, and a tensor that broadcasts to it. */
export function findBiases(nodes: readonly AnyNode[], roots: readonly Tensor[]): Biases {
  const uses = new Map<Tensor, number>();
  const count = (t: Tensor) => uses.set(t, (uses.get(t) ?? 0) + 1);
  for (const node of nodes) node.inputs.forEach(count);
  roots.forEach(count);
  const sums = new Map<AnyNode, Biased>();
  const products = new Set<AnyNode>();
  for (const node of nodes) {
    if (node.op !== "add" || node.outputs[0]!.shape.length !== 2) continue;
    const [a, b] = node.inputs as [Tensor, Tensor];
    for (const [product, bias] of [
      [a, b],
      [b, a],
    ] as const) {
      const made = product.node as unknown as AnyNode;
      if (made.op !== "matmul" || uses.get(product) !== 1 || bias.shape.length > 1) continue;
      if (made.inputs.some((t) => t.shape.length !== 2 || t.dtype !== product.dtype)) continue;
      if (product.shape[0] !== node.outputs[0]!.shape[0] || product.shape[1] !== node.outputs[0]!.shape[1])
        continue;
      sums.set(node, { product: made, bias });
      products.add(made);
      break;
    }
  }
  return { sums, products };
}

/** Emits a biased product as one Gemm. */
export function lowerBiased(
  b: OnnxBuilder,
  { product, bias }: Biased,
  names: ReadonlyMap<Tensor, string>,
): string {
  const { transposeA, transposeB } = product.attrs;
  const operands = [...product.inputs, bias].map((t) => names.get(t)!);
  return b.op("Gemm", operands, { transA: Number(transposeA), transB: Number(transposeB) });
}
