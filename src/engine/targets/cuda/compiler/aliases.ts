/** @file Tensors that are other tensors under another shape, or a slice of one: they need no memory of their own. */
import { dtypeBytes } from "../../../../base/dtype.ts";
import type { AnyNode, Tensor } from "../../../graph/node.ts";
import { sizeOf, tensorBytes, stridesOf, type Shape } from "../../../../base/shape.ts";

/** Where a slice may begin, so that 16-byte loads work on it. */
const ALIGNMENT = 16;

/** The tensor whose elements, in the same order, are all of this one's. */
export function sameElements(t: Tensor): Tensor {
  let base = t;
  for (let next = sourceOf(base); next; next = sourceOf(base)) base = next;
  return base;
}

function sourceOf(t: Tensor): Tensor | undefined {
  const node = t.node as unknown as AnyNode;
  const x = node.inputs[0];
  switch (node.op) {
    case "reshape":
      return x;
    case "broadcastTo":
      return sizeOf(x!.shape) === sizeOf(t.shape) ? x : undefined;
    case "transpose": {
      const moved = node.attrs.permutation.filter((axis) => x!.shape[axis] !== 1);
      return moved.every((axis, i) => i === 0 || axis > moved[i - 1]!) ? x : undefined;
    }
    default:
      return undefined;
  }
}

/** A tensor in which another one lies as one contiguous part, and where it begins. */
export interface AlignedSlice {
  readonly whole: Tensor;
  readonly offsetBytes: number;
}

/** The tensor that a slice is one contiguous, aligned part of. */
export function alignedSliceOf(t: Tensor): AlignedSlice | undefined {
  const node = t.node as unknown as AnyNode;
  if (node.op !== "slice" || sizeOf(t.shape) === 0) return undefined;
  const x = node.inputs[0]!;
  const { starts, steps } = node.attrs;
  if (steps.some((step, axis) => step !== 1 && t.shape[axis]! > 1)) return undefined;
  const cut = t.shape.findLastIndex((n, axis) => n !== x.shape[axis]);
  if (t.shape.slice(0, Math.max(cut, 0)).some((n) => n !== 1)) return undefined;
  const strides = stridesOf(x.shape);
  const offsetBytes = starts.reduce((sum, at, axis) => sum + at * strides[axis]!, 0) * dtypeBytes(t.dtype);
  return offsetBytes % ALIGNMENT === 0 ? { whole: x, offsetBytes } : undefined;
}

/** Where the parts of a concat begin, if each is contiguous. */
export function partOffsets(parts: readonly Tensor[], axis: number, shape: Shape): number[] | undefined {
  if (sizeOf(shape.slice(0, axis)) !== 1) return undefined;
  let offset = 0;
  return parts.map((part) => {
    const at = offset;
    offset += tensorBytes(part);
    return at;
  });
}
