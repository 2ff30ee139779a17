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
    batchA.forEach((_, batch) => {
      for (let row = 0; row < m; row++) {
        for (let column = 0; column < n; column++) {
          let total = 0;
          for (let i = 0; i < k; i++) {
            const atA = batchA[batch]! * m * k + (transposeA ? i * m + row : row * k + i);
            const atB = batchB[batch]! * k * n + (transposeB ? column * k + i : i * n + column);
            total += a[atA]! * b[atB]!;
          }
          out[(batch * m + row) * n + column] = total;
        }
      }
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
