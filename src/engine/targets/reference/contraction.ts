/** @file Kernels that multiply and add along an axis, accumulating in float64. */
import type { TypedArray } from "../../../base/dtype.ts";
import type { Conv1dAttrs } from "../../graph/opAttrs.ts";
import type { Shape } from "../../../base/shape.ts";
import type { KernelTable } from "./kernel.ts";
import { broadcastOffsets } from "./offsets.ts";

/**
 * Calls back with the flat positions (in x, in the kernel w, in the result y) of every product of a convolution.
 * The convolution adds x·w into y; its two gradients add the same products' other pairings.
 */
function forEachProduct(
  { stride, dilation, padding, groups }: Conv1dAttrs,
  [batch, channels, length]: Shape,
  [outputs, perGroup, kernel]: Shape,
  steps: number,
  visit: (x: number, w: number, y: number) => void,
): void {
  const outputsPerGroup = outputs! / groups;
  for (let b = 0; b < batch!; b++) {
    for (let o = 0; o < outputs!; o++) {
      const firstChannel = Math.floor(o / outputsPerGroup) * perGroup!;
      for (let t = 0; t < steps; t++) {
        for (let c = 0; c < perGroup!; c++) {
          for (let k = 0; k < kernel!; k++) {
            const at = t * stride + k * dilation - padding[0];
            if (at < 0 || at >= length!) continue;
            visit(
              (b * channels! + firstChannel + c) * length! + at,
              (o * perGroup! + c) * kernel! + k,
              (b * outputs! + o) * steps + t,
            );
          }
        }
      }
    }
  }
}

/** Runs a loop that adds into float64 totals, then stores them. */
function accumulate(out: TypedArray, loop: (totals: Float64Array) => void): void {
  const totals = new Float64Array(out.length);
  loop(totals);
  out.set(totals);
}

/**
 * Copies a matrix's vectors of `k` elements so that each lies in one piece, as float64: its rows, or its columns.
 * @param first where the matrix begins in `from`
 */
function gatherVectors(
  from: TypedArray,
  first: number,
  k: number,
  areColumns: boolean,
  vectors: Float64Array,
): void {
  const count = k === 0 ? 0 : vectors.length / k;
  const [vectorStride, stride] = areColumns ? [1, count] : [k, 1];
  for (let v = 0; v < count; v++)
    for (let i = 0; i < k; i++) vectors[v * k + i] = from[first + v * vectorStride + i * stride]!;
}

/** Every row's products with every column, each summed in the order of its elements; four columns go side by side. */
function multiplyVectors(
  rows: Float64Array,
  columns: Float64Array,
  k: number,
  out: TypedArray,
  first: number,
): void {
  if (k === 0) return;
  const n = columns.length / k;
  for (let row = 0, at = first; row < rows.length; row += k) {
    let column = 0;
    for (; column + 4 * k <= columns.length; column += 4 * k, at += 4) {
      let [t0, t1, t2, t3] = [0, 0, 0, 0];
      for (let i = 0; i < k; i++) {
        const x = rows[row + i]!;
        t0 += x * columns[column + i]!;
        t1 += x * columns[column + k + i]!;
        t2 += x * columns[column + 2 * k + i]!;
        t3 += x * columns[column + 3 * k + i]!;
      }
      out[at] = t0;
      out[at + 1] = t1;
      out[at + 2] = t2;
      out[at + 3] = t3;
    }
    for (; column < n * k; column += k, at++) {
      let total = 0;
      for (let i = 0; i < k; i++) total += rows[row + i]! * columns[column + i]!;
      out[at] = total;
    }
  }
}

/** Kernels of the contractions. */
export const contractionKernels: KernelTable<
  | "matmul"
  | "conv1d"
  | "conv1dInputGradient"
  | "conv1dKernelGradient"
  | "dotInteraction"
  | "dotInteractionGradient"
> = {
  matmul: ({ node, inputs, outputs }) => {
    const [a, b, out] = [inputs[0]!, inputs[1]!, outputs[0]!];
    const { transposeA, transposeB } = node.attrs;
    const shape = node.outputs[0]!.shape;
    const [m, n] = shape.slice(-2) as [number, number];
    const [shapeA, shapeB] = node.inputs.map((t) => t.shape) as [Shape, Shape];
    const k = shapeA.at(transposeA ? -2 : -1)!;
    const batches = shape.slice(0, -2);
    const batchA = broadcastOffsets(shapeA.slice(0, -2), batches);
    const batchB = broadcastOffsets(shapeB.slice(0, -2), batches);
    const rows = new Float64Array(m * k);
    const columns = new Float64Array(n * k);
    batchA.forEach((_, batch) => {
      gatherVectors(a, batchA[batch]! * m * k, k, transposeA, rows);
      gatherVectors(b, batchB[batch]! * k * n, k, !transposeB, columns);
      multiplyVectors(rows, columns, k, out, batch * m * n);
    });
  },
  conv1d: ({ node, inputs: [x, w], outputs }) => {
    const [shapeX, shapeW] = node.inputs.map((t) => t.shape) as [Shape, Shape];
    accumulate(outputs[0]!, (y) =>
      forEachProduct(node.attrs, shapeX, shapeW, node.outputs[0]!.shape[2]!, (atX, atW, atY) => {
        y[atY]! += x![atX]! * w![atW]!;
      }),
    );
  },
  conv1dInputGradient: ({ node, inputs: [g, w], outputs }) => {
    const [shapeG, shapeW] = node.inputs.map((t) => t.shape) as [Shape, Shape];
    accumulate(outputs[0]!, (dx) =>
      forEachProduct(node.attrs, node.outputs[0]!.shape, shapeW, shapeG[2]!, (atX, atW, atY) => {
        dx[atX]! += g![atY]! * w![atW]!;
      }),
    );
  },
  conv1dKernelGradient: ({ node, inputs: [x, g], outputs }) => {
    const [shapeX, shapeG] = node.inputs.map((t) => t.shape) as [Shape, Shape];
    accumulate(outputs[0]!, (dw) =>
      forEachProduct(node.attrs, shapeX, node.outputs[0]!.shape, shapeG[2]!, (atX, atW, atY) => {
        dw[atW]! += x![atX]! * g![atY]!;
      }),
    );
  },
  dotInteraction: ({ node, inputs: [x], outputs }) => {
    const [batch, features, width] = node.inputs[0]!.shape as [number, number, number];
    let pair = 0;
    for (let b = 0; b < batch; b++) {
      for (let i = 1; i < features; i++) {
        for (let j = 0; j < i; j++) {
          let total = 0;
          for (let d = 0; d < width; d++) {
            total += x![(b * features + i) * width + d]! * x![(b * features + j) * width + d]!;
          }
          outputs[0]![pair++] = total;
        }
      }
    }
  },
  dotInteractionGradient: ({ node, inputs: [x, g], outputs }) => {
    const [batch, features, width] = node.inputs[0]!.shape as [number, number, number];
    accumulate(outputs[0]!, (dx) => {
      let pair = 0;
      for (let b = 0; b < batch; b++) {
        for (let i = 1; i < features; i++) {
          for (let j = 0; j < i; j++, pair++) {
            for (let d = 0; d < width; d++) {
              const atI = (b * features + i) * width + d;
              const atJ = (b * features + j) * width + d;
              dx[atI]! += g![pair]! * x![atJ]!;
              dx[atJ]! += g![pair]! * x![atI]!;
            }
          }
        }
      }
    });
  },
};
