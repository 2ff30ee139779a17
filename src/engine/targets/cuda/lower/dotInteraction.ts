/** @file Rules of DLRM's dot interaction and of its gradient. */
import type { Tensor } from "../../../graph/node.ts";
import { sizeOf } from "../../../shape.ts";
import { bytesOf, elementwise, int32, int64, kernelStep, reads, vectorWidth, writes } from "./kernelStep.ts";
import type { LowerContext, LowerRule } from "./lowering.ts";

/** Warps a block. */
const WARPS_MAX = 4;
/** Columns of a row that a lane works on at a time. */
const CHUNK_MAX = 32;

/** Macros of `kernels/dotInteraction.cu`; undefined when a warp's samples do not fit the shared memory. */
function layout(features: number, dim: number, maxSharedBytes: number): Record<Macro, number> | undefined {
  const pairs = (features * (features - 1)) / 2;
  const lanes = features <= 32 ? 16 : 32;
  const samples = 32 / lanes;
  const chunk = Math.min(CHUNK_MAX, 4 * Math.ceil(dim / 4));
  const quads = (Math.ceil(dim / chunk) * chunk) / 4;
  const stride = 4 * (quads % 2 === 1 ? quads : quads + 1);
  const floats = 4 * Math.ceil((samples * (features * stride + pairs)) / 4);
  const warps = Math.min(WARPS_MAX, Math.floor(maxSharedBytes / (floats * 4)));
  if (warps === 0) return undefined;
  return {
    FEATURES: features,
    DIM: dim,
    PAIRS: pairs,
    LANES: lanes,
    SAMPLES: samples,
    CHUNK: chunk,
    STRIDE: stride,
    FLOATS: floats,
    WARPS: warps,
  };
}

type Macro = "FEATURES" | "DIM" | "PAIRS" | "LANES" | "SAMPLES" | "CHUNK" | "STRIDE" | "FLOATS" | "WARPS";

function emit(
  context: LowerContext,
  suffix: "" | "Gradient",
  inputs: readonly Tensor[],
  output: Tensor,
): void {
  const x = inputs[0]!;
  const [batch, features, dim] = x.shape as [number, number, number];
  const size = sizeOf(output.shape);
  if (size === 0) return;
  if (dim === 0 || features === 1) {
    context.emit({ kind: "clear", to: context.view(output), bytes: bytesOf(output) });
    return;
  }
  const operands = [...inputs.map((t) => reads(context, t)), writes(context, output)];
  const macros = layout(features, dim, context.maxSharedBytes);
  if (!macros) {
    context.emit(
      kernelStep({
        file: "dotInteractionLarge",
        name: `dotInteractionLarge${suffix}`,
        about: x,
        ...elementwise(size),
        arguments: [...operands, int32(features), int32(dim), int64(size)],
      }),
    );
    return;
  }
  const rows = suffix ? [x, output] : [x];
  const pairs = suffix ? inputs[1]! : output;
  context.emit(
    kernelStep({
      file: "dotInteraction",
      name: `dotInteraction${suffix}`,
      defines: {
        ...macros,
        VECTOR: vectorWidth(dim, x.dtype, ...rows.map((t) => context.view(t))),
        PAIR_VECTOR: vectorWidth(macros.SAMPLES * macros.PAIRS, x.dtype, context.view(pairs)),
      },
      about: x,
      grid: [Math.ceil(batch / (macros.WARPS * macros.SAMPLES)), 1, 1],
      block: [32 * macros.WARPS, 1, 1],
      sharedBytes: macros.WARPS * macros.FLOATS * 4,
      arguments: [...operands, int32(batch)],
    }),
  );
}

/** Rule of the dot interaction. */
export const lowerDotInteraction: LowerRule<"dotInteraction"> = ({ inputs, outputs }, context) => {
  emit(context, "", inputs, outputs[0]!);
};

/** Rule of the dot interaction's gradient. */
export const lowerDotInteractionGradient: LowerRule<"dotInteractionGradient"> = (
  { inputs, outputs },
  context,
) => {
  emit(context, "Gradient", inputs, outputs[0]!);
};
