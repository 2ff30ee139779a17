/** @file Recognising and making tensors of one value. */
import type { Node, Tensor, TensorSpec } from "../graph/node.ts";
import { full } from "../graph/ops/leaf.ts";
import { broadcastTo } from "../graph/ops/movement.ts";
import { numberOf } from "../../base/half.ts";
import { sizeOf } from "../../base/shape.ts";

/** The node that made a tensor, if it is of this op. */
export function madeBy<K extends Node["op"]>(t: Tensor, op: K): Node<K> | undefined {
  return t.node.op === op ? (t.node as unknown as Node<K>) : undefined;
}

/** Whether a tensor is a constant, or a broadcast one, whose every element is `value` (−0 counts as 0). */
export function isFilledWith(t: Tensor, value: number): boolean {
  const stretched = madeBy(t, "broadcastTo");
  const data = madeBy(stretched ? stretched.inputs[0]! : t, "constant")?.attrs.data;
  return data !== undefined && data.length > 0 && data.every((x) => numberOf(x, t.dtype) === value);
}

/** A tensor of one value; only the scalar is stored. */
export function filled({ shape, dtype }: TensorSpec, value: number): Tensor {
  return sizeOf(shape) === 0 ? full(shape, 0, dtype) : broadcastTo(full([], value, dtype), shape);
}
