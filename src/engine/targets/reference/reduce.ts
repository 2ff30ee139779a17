/** @file Kernels along axes: sum, max, argmax, cumsum, softmax. Sums accumulate in float64. */
import { sizeOf, stridesOf, type Shape } from "../../../base/shape.ts";
import type { KernelTable } from "./kernel.ts";
import { offsets } from "./offsets.ts";

/** For each element of `shape`, the flat position of the reduced element it counts towards. */
function reducedOffsets(shape: Shape, axes: readonly number[]): Int32Array {
  const kept = shape.map((n, axis) => (axes.includes(axis) ? 1 : n));
  const strides = stridesOf(kept);
  return offsets(
    shape,
    strides.map((stride, axis) => (axes.includes(axis) ? 0 : stride)),
  );
}

/** Calls back with the first position of every line along an axis; the line's elements are `stride` apart. */
function forEachLine(shape: Shape, axis: number, visit: (start: number, line: number) => void): void {
  offsets(shape.with(axis, 1), stridesOf(shape)).forEach(visit);
}

/** Kernels of the ops along axes. */
export const reduceKernels: KernelTable<"sum" | "max" | "argmax" | "cumsum" | "softmax"> = {
  sum: ({ node, inputs, outputs }) => {
    const [x, out] = [inputs[0]!, outputs[0]!];
    const places = reducedOffsets(node.inputs[0]!.shape, node.attrs.axes);
    const totals = new Float64Array(out.length);
    for (let i = 0; i < x.length; i++) totals[places[i]!]! += x[i]!;
    out.set(totals);
  },
  max: ({ node, inputs, outputs }) => {
    const [x, out] = [inputs[0]!, outputs[0]!];
    const places = reducedOffsets(node.inputs[0]!.shape, node.attrs.axes);
    const largest = new Float64Array(out.length).fill(-Infinity);
    for (let i = 0; i < x.length; i++) largest[places[i]!] = Math.max(largest[places[i]!]!, x[i]!);
    out.set(largest);
  },
  argmax: ({ node, inputs, outputs }) => {
    const [x, out] = [inputs[0]!, outputs[0]!];
    const { shape } = node.inputs[0]!;
    const { axis } = node.attrs;
    const stride = stridesOf(shape)[axis]!;
    forEachLine(shape, axis, (start, line) => {
      let best = 0;
      for (let i = 1; i < shape[axis]!; i++) {
        if (x[start + i * stride]! > x[start + best * stride]!) best = i;
      }
      out[line] = best;
    });
  },
  cumsum: ({ node, inputs, outputs }) => {
    const [x, out] = [inputs[0]!, outputs[0]!];
    const { shape } = node.inputs[0]!;
    const { axis } = node.attrs;
    const stride = stridesOf(shape)[axis]!;
    if (sizeOf(shape) === 0) return;
    forEachLine(shape, axis, (start) => {
      let total = 0;
      for (let i = 0; i < shape[axis]!; i++) {
        total += x[start + i * stride]!;
        out[start + i * stride] = total;
      }
    });
  },
  softmax: ({ node, inputs, outputs }) => {
    const [x, out] = [inputs[0]!, outputs[0]!];
    const width = node.inputs[0]!.shape.at(-1)!;
    for (let row = 0; row < x.length; row += width) {
      let largest = -Infinity;
      for (let i = 0; i < width; i++) largest = Math.max(largest, x[row + i]!);
      let total = 0;
      for (let i = 0; i < width; i++) total += Math.exp(x[row + i]! - largest);
      for (let i = 0; i < width; i++) out[row + i] = Math.exp(x[row + i]! - largest) / total;
    }
  },
};
