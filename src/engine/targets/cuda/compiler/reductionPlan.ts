/**
 * @file How sums and maxima along any axes are laid out over threads.
 *
 * The kept axes make up a number k, the reduced ones a number r. Where the innermost axis is reduced, a group of
 * threads walks along the r of one k ("rows"); where it is kept, neighbouring threads take neighbouring k and walk
 * down r ("columns"). Both read memory in order. When there are too few k to occupy the GPU, the r are split into
 * parts: one kernel reduces each part, a second one the parts. The order of additions follows from the shape and the
 * number of multiprocessors alone.
 */
import type { Node } from "../../../graph/node.ts";
import { sizeOf } from "../../../../base/shape.ts";
import { BLOCK_THREADS } from "./kernelBuilder.ts";

/** Threads of a warp. */
export const WARP = 32;
/** Blocks wanted for each multiprocessor. */
const BLOCKS_PER_MULTIPROCESSOR = 6;
/** Elements that a thread adds at least before the rest is split off. */
const ELEMENTS_PER_THREAD_MIN = 8;
/** The same in rows, down columns. */
const ROWS_PER_THREAD_MIN = 4;
/** So many rows are not split into parts: a block adds them up in a few steps. */
const NARROW_ROWS_MAX = 1024;
/** Steps of a warp beyond which a whole block takes a row. */
const WARP_STEPS_MAX = 16;

/** How a reduction is laid out over threads. */
export interface ReductionPlan {
  readonly kept: number;
  readonly reduced: number;
  readonly layout: "rows" | "columns";
  /** Neighbouring elements that a thread takes at once. */
  readonly lanes: 1 | 4;
  /** Threads along r in rows, along k in columns. */
  readonly width: number;
  /** Parts of r. */
  readonly parts: number;
  readonly blocks: number;
  /** Steps of r (of `lanes` elements in rows) in a part. */
  readonly steps: number;
}

function powerOfTwoFrom(n: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(1, n)));
}

/** Lays out a reduction of `reduced` elements to each of `kept`. */
function layOut(
  kept: number,
  reduced: number,
  layout: "rows" | "columns",
  multiprocessors: number,
  mayBeSplit: boolean,
): ReductionPlan {
  const wanted = BLOCKS_PER_MULTIPROCESSOR * multiprocessors;
  if (layout === "rows") {
    const lanes = reduced % 4 === 0 ? 4 : 1;
    const steps = reduced / lanes;
    const isLong = steps > WARP * WARP_STEPS_MAX || (steps > 2 * WARP && kept < wanted);
    const width = isLong ? BLOCK_THREADS : Math.min(WARP, powerOfTwoFrom(steps));
    const blocks = Math.ceil((kept * width) / BLOCK_THREADS);
    const most = Math.floor(steps / (width * (ELEMENTS_PER_THREAD_MIN / lanes)));
    const parts =
      mayBeSplit && 2 * blocks <= wanted ? Math.max(1, Math.min(Math.ceil(wanted / blocks), most)) : 1;
    return finish({ kept, reduced, layout, lanes, width }, steps, parts, blocks);
  }
  const lanes = kept % 4 === 0 ? 4 : 1;
  const columns = kept / lanes;
  // Few columns, or few rows: narrow blocks are more, and each has more threads along r.
  const isNarrow = Math.ceil(columns / WARP) < multiprocessors && (!mayBeSplit || reduced <= NARROW_ROWS_MAX);
  const width = Math.min(isNarrow ? WARP / 4 : WARP, powerOfTwoFrom(columns));
  const blocks = Math.ceil(columns / width);
  const most = Math.floor(reduced / ((BLOCK_THREADS / width) * ROWS_PER_THREAD_MIN));
  const parts =
    mayBeSplit && 2 * blocks <= wanted ? Math.max(1, Math.min(Math.ceil(wanted / blocks), most)) : 1;
  return finish({ kept, reduced, layout, lanes, width }, reduced, parts, blocks);
}

function finish(
  plan: Omit<ReductionPlan, "parts" | "blocks" | "steps">,
  all: number,
  parts: number,
  blocks: number,
): ReductionPlan {
  const steps = Math.ceil(all / parts);
  const filled = Math.max(1, Math.ceil(all / Math.max(1, steps)));
  return { ...plan, steps, parts: filled, blocks: blocks * filled };
}

/** Axes of an operand that a reduction keeps and reduces, without those of length 1. */
export function axesOf(node: Node<"sum" | "max">): { kept: number[]; reduced: number[] } {
  const { shape } = node.inputs[0]!;
  const long = shape.flatMap((n, axis) => (n === 1 ? [] : [axis]));
  return {
    kept: long.filter((axis) => !node.attrs.axes.includes(axis)),
    reduced: long.filter((axis) => node.attrs.axes.includes(axis)),
  };
}

/** Lays out a reduction op. */
export function planReduction(node: Node<"sum" | "max">, multiprocessors: number): ReductionPlan {
  const { shape } = node.inputs[0]!;
  const { kept, reduced } = axesOf(node);
  const size = (axes: readonly number[]) => sizeOf(axes.map((axis) => shape[axis]!));
  const layout = (reduced.at(-1) ?? -1) > (kept.at(-1) ?? -1) ? "rows" : "columns";
  return layOut(size(kept), size(reduced), layout, multiprocessors, true);
}

/** What is left to do after the parts: one row of parts for each k. */
export function planParts({ kept, parts }: ReductionPlan, multiprocessors: number): ReductionPlan {
  return layOut(kept, parts, "columns", multiprocessors, false);
}
