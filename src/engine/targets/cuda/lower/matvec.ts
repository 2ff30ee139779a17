/** @file Matmuls of few rows with a matrix, which are limited by reading it: a kernel of their own. */
import { invariant } from "../../../../base/errors.ts";
import { dtypeBytes } from "../../../../base/dtype.ts";
import type { Tensor } from "../../../graph/node.ts";
import { sizeOf, tensorBytes } from "../../../../base/shape.ts";
import { elementType } from "./axes.ts";
import type { KernelArgument } from "../plan.ts";
import { kernelStep, reads, scratchArgument, writes } from "./kernelStep.ts";
import type { LowerContext } from "./lowering.ts";
import type { MatvecActivation, MatmulMatch } from "./matchMatmuls.ts";

/** Numbers of `matvec.cu`. */
const activations: Readonly<Record<MatvecActivation, number>> = {
  none: 0,
  relu: 1,
  gelu: 2,
  geluErf: 3,
  siluGate: 0,
};
/** Bytes of a row that a warp takes in one step. */
const WARP_BYTES = 16 * 4 * 4;
const WARPS_MAX = 8;
const ACCESS_BYTES = 16;

/** Emits a matmul of few rows. */
export function lowerMatvec(match: MatmulMatch, output: Tensor, context: LowerContext): void {
  const { matmul, operands, matvec } = match;
  invariant(matvec, "a matmul of few rows");
  const { activation, hasBias, hasResidual } = matvec;
  const [x, w] = operands as [Tensor, Tensor];
  const k = x.shape.at(-1)!;
  const rows = sizeOf(x.shape) / k;
  const isGated = activation === "siluGate";
  const outputs = w.shape[0]! / (isGated ? 2 : 1);
  if (outputs === 0) return;
  const bias = hasBias ? operands[2]! : undefined;
  const residual = hasResidual ? operands.at(-1)! : undefined;
  const steps = Math.ceil((k * dtypeBytes(x.dtype)) / WARP_BYTES);
  const warps = Math.min(WARPS_MAX, 2 ** Math.floor(Math.log2(steps)));
  const step = kernelStep({
    file: "matvec",
    defines: {
      ELEMENT: elementType(x),
      OUT: elementType(output),
      ...(x.dtype === "float32" && { WIDE: 1 }),
      ...(x.dtype === "float16" && { HALF: 1 }),
      K: k,
      OUTPUTS: outputs,
      ROWS: rows,
      WARPS: warps,
      ACTIVATION: activations[activation],
      ...(isGated && { GATED: 1 }),
      ...(bias && { BIAS: 1 }),
      ...(residual && { RESIDUAL: 1 }),
    },
    about: matmul.outputs[0]!,
    grid: [Math.ceil(outputs / (isGated ? 8 : 16)), 1, 1],
    block: [32 * warps, 1, 1],
    // Where there is no bias or residual, the kernel does not read what stands for it.
    arguments: [
      aligned(context, x),
      aligned(context, w),
      reads(context, bias ?? x),
      reads(context, residual ?? x),
      writes(context, output),
    ],
  });
  const parts = [activation, ...(bias ? ["bias"] : []), ...(residual ? ["residual"] : [])];
  context.emit({
    ...step,
    label: `${step.label} k ${k} ${parts.filter((p) => p !== "none").join("+")}`.trim(),
  });
}

/** An operand at a place that whole accesses can read; copied there where it is a slice of something larger. */
function aligned(context: LowerContext, t: Tensor): KernelArgument {
  const from = context.view(t);
  if (from.offsetBytes % ACCESS_BYTES === 0) return reads(context, t);
  const bytes = tensorBytes(t);
  const to = context.scratch(bytes);
  context.emit({ kind: "copy", from, to, bytes });
  return scratchArgument(to, "read", bytes);
}
