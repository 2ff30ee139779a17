/** @file Kernels that move elements: each reads its input through a strided view or writes its output through one. */
import type { TypedArray } from "../../../base/dtype.ts";
import { sizeOf, stridesOf } from "../../../base/shape.ts";
import type { KernelTable } from "./kernel.ts";
import { broadcastOffsets, offsets } from "./offsets.ts";

/** out[i] = x[places[i]]. */
function read(x: TypedArray, places: Int32Array, out: TypedArray): void {
  for (let i = 0; i < out.length; i++) out[i] = x[places[i]!]!;
}

/** out[places[i]] = x[i]. */
function write(x: TypedArray, places: Int32Array, out: TypedArray): void {
  for (let i = 0; i < x.length; i++) out[places[i]!] = x[i]!;
}

/** Flat position of an index. */
function positionOf(index: readonly number[], strides: readonly number[]): number {
  return index.reduce((sum, at, axis) => sum + at * strides[axis]!, 0);
}

/** Kernels of the movement ops. */
export const movementKernels: KernelTable<
  "reshape" | "broadcastTo" | "transpose" | "slice" | "pad" | "concat" | "flip"
> = {
  reshape: ({ inputs, outputs }) => outputs[0]!.set(inputs[0]!),
  broadcastTo: ({ node, inputs, outputs }) =>
    read(inputs[0]!, broadcastOffsets(node.inputs[0]!.shape, node.attrs.shape), outputs[0]!),
  transpose: ({ node, inputs, outputs }) => {
    const strides = stridesOf(node.inputs[0]!.shape);
    const order = node.attrs.permutation.map((axis) => strides[axis]!);
    read(inputs[0]!, offsets(node.outputs[0]!.shape, order), outputs[0]!);
  },
  slice: ({ node, inputs, outputs }) => {
    const { starts, steps } = node.attrs;
    const strides = stridesOf(node.inputs[0]!.shape);
    const stepped = strides.map((stride, axis) => stride * steps[axis]!);
    read(inputs[0]!, offsets(node.outputs[0]!.shape, stepped, positionOf(starts, strides)), outputs[0]!);
  },
  pad: ({ node, inputs, outputs }) => {
    const { before, value } = node.attrs;
    const strides = stridesOf(node.outputs[0]!.shape);
    outputs[0]!.fill(value);
    write(inputs[0]!, offsets(node.inputs[0]!.shape, strides, positionOf(before, strides)), outputs[0]!);
  },
  concat: ({ node, inputs, outputs }) => {
    const { axis } = node.attrs;
    const strides = stridesOf(node.outputs[0]!.shape);
    let start = 0;
    node.inputs.forEach((part, i) => {
      write(inputs[i]!, offsets(part.shape, strides, start * strides[axis]!), outputs[0]!);
      start += part.shape[axis]!;
    });
  },
  flip: ({ node, inputs, outputs }) => {
    const { shape } = node.outputs[0]!;
    if (sizeOf(shape) === 0) return;
    const { axis } = node.attrs;
    const strides = stridesOf(shape);
    const last = (shape[axis]! - 1) * strides[axis]!;
    read(inputs[0]!, offsets(shape, strides.with(axis, -strides[axis]!), last), outputs[0]!);
  },
};
