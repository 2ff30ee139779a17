/** @file Rules of DLRM's dot interaction, alone and joined with its dense vector, and of their gradients. */
import type { Tensor } from "../../../graph/node.ts";
import { sizeOf, tensorBytes } from "../../../../base/shape.ts";
import { elementwise, int32, int64, kernelStep, reads, vectorWidth, writes } from "./kernelStep.ts";
import type { LowerContext, LowerRule } from "./lowering.ts";

/** Warps a block. */
const WARPS_MAX = 4;
/** Registers of a multiprocessor for each lane of a warp, and what a lane takes beside those for its columns. */
const REGISTERS = 2048;
const LANE_REGISTERS = 64;
/** Shared memory that the system takes of each block's. */
const BLOCK_BYTES = 1024;
/** Columns of a row that a lane works on at a time. */
const CHUNK_MAX = 32;

/** What the kernels work on; without `x` the rows are all there is. */
interface Interaction {
  readonly x: Tensor | undefined;
  readonly rows: Tensor;
  /** Of the gradient alone. */
  readonly g?: Tensor;
  /** The result, or dx (where there is x) and drows. */
  readonly outputs: readonly Tensor[];
}

interface Layout {
  readonly macros: Readonly<Record<string, number>>;
  /** Samples that a block takes at a time. */
  readonly samples: number;
  readonly warps: number;
  readonly sharedBytes: number;
  /** Blocks that a multiprocessor holds at once. */
  readonly resident: number;
}

/** Macros and launch of `kernels/dotInteraction.cu`; undefined when a warp's samples do not fit the shared memory. */
function layout(
  { x, g }: Interaction,
  features: number,
  dim: number,
  maxSharedBytes: number,
): Layout | undefined {
  const lanes = features <= 32 ? 16 : 32;
  const samples = 32 / lanes;
  const chunk = Math.min(CHUNK_MAX, 4 * Math.ceil(dim / 4));
  const quads = (Math.ceil(dim / chunk) * chunk) / 4;
  const stride = 4 * (quads % 2 === 1 ? quads : quads + 1);
  const width = (x ? dim : 0) + (features * (features - 1)) / 2;
  const span = 4 * Math.ceil((samples * width + 3) / 4);
  const floatsOf = (stages: number) => stages * samples * features * stride + (g ? stages : 1) * span;
  const stages = floatsOf(2) * 4 <= maxSharedBytes ? 2 : 1;
  const floats = floatsOf(stages);
  // Two rows' columns and those of what they meet, or of the results.
  const residentWarps = Math.floor(REGISTERS / (LANE_REGISTERS + 3 * chunk));
  // The block that leaves the least shared memory unused.
  let [warps, resident] = [0, 0];
  for (let count = 1; count <= WARPS_MAX && count * floats * 4 <= maxSharedBytes; count++) {
    const fit = Math.floor((maxSharedBytes + BLOCK_BYTES) / (count * floats * 4 + BLOCK_BYTES));
    const blocks = Math.min(fit, Math.floor(residentWarps / count));
    if (blocks * count >= resident * warps) [warps, resident] = [count, blocks];
  }
  if (warps === 0) return undefined;
  const macros = {
    RESIDENT: resident,
    FEATURES: features,
    DIM: dim,
    WITH_X: x ? 1 : 0,
    LANES: lanes,
    SAMPLES: samples,
    CHUNK: chunk,
    STRIDE: stride,
    SPAN: span,
    STAGES: stages,
    FLOATS: floats,
    WARPS: warps,
  };
  return { macros, samples: samples * warps, warps, sharedBytes: warps * floats * 4, resident };
}

function emit(context: LowerContext, interaction: Interaction): void {
  const { x, rows, g, outputs } = interaction;
  const [batch, tables, dim] = rows.shape as [number, number, number];
  const features = tables + (x ? 1 : 0);
  const size = outputs.reduce((sum, t) => sum + sizeOf(t.shape), 0);
  if (size === 0) return;
  if (dim === 0 || features === 1) {
    // No pairs, or pairs of nothing: what is left is x by itself.
    for (const t of outputs.filter(({ shape }) => sizeOf(shape) > 0)) {
      const place = { to: context.view(t), bytes: tensorBytes(t) };
      if (x && features === 1) context.emit({ kind: "copy", from: context.view(g ?? x), ...place });
      else context.emit({ kind: "clear", ...place });
    }
    return;
  }
  const suffix = g ? "Gradient" : "";
  const none = int64(0); // a null pointer
  const inputs = [x ? reads(context, x) : none, reads(context, rows), ...(g ? [reads(context, g)] : [])];
  const results = outputs.map((t) => writes(context, t));
  const operands = [...inputs, ...(g && !x ? [none] : []), ...results];
  const chosen = layout(interaction, features, dim, context.maxSharedBytes);
  if (!chosen) {
    context.emit(
      kernelStep({
        file: "dotInteractionLarge",
        name: `dotInteractionLarge${suffix}`,
        about: rows,
        ...elementwise(size),
        arguments: [...operands, int32(features), int32(dim), int64(size)],
      }),
    );
    return;
  }
  const { macros, samples, warps, sharedBytes, resident } = chosen;
  const ofRows = [...(x ? [x] : []), rows, ...(g ? outputs : [])].map((t) => context.view(t));
  context.emit(
    kernelStep({
      file: "dotInteraction",
      name: `dotInteraction${suffix}`,
      defines: { ...macros, VECTOR: vectorWidth(dim, rows.dtype, ...ofRows) },
      about: rows,
      grid: [Math.min(Math.ceil(batch / samples), context.multiprocessors * resident), 1, 1],
      block: [32 * warps, 1, 1],
      sharedBytes,
      arguments: [...operands, int32(batch)],
    }),
  );
}

/** Rule of the dot interaction. */
export const lowerDotInteraction: LowerRule<"dotInteraction"> = ({ inputs: [rows], outputs }, context) => {
  emit(context, { x: undefined, rows: rows!, outputs });
};

/** Rule of the dot interaction's gradient. */
export const lowerDotInteractionGradient: LowerRule<"dotInteractionGradient"> = (
  { inputs: [rows, g], outputs },
  context,
) => {
  emit(context, { x: undefined, rows: rows!, g: g!, outputs });
};

/** Rule of the interaction of a vector and rows. */
export const lowerFeatureInteraction: LowerRule<"featureInteraction"> = (
  { inputs: [x, rows], outputs },
  context,
) => {
  emit(context, { x, rows: rows!, outputs });
};

/** Rule of its gradient. */
export const lowerFeatureInteractionGradient: LowerRule<"featureInteractionGradient"> = (
  { inputs: [x, rows, g], outputs },
  context,
) => {
  emit(context, { x, rows: rows!, g: g!, outputs });
};
