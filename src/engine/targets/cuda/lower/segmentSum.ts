/**
 * @file Sums rows that go to the same place, in their order: sort by place, cut into segments, sum. The same on every
 * run, whatever the order in which threads work; no float atomics.
 */
import type { BufferView } from "../plan.ts";
import type { KernelCall } from "../rows/kernelCall.ts";
import { segmentBytes, segmentCalls, segmentKernels, type SegmentPlaces } from "../rows/segmentCalls.ts";
import { sortCalls, sortKernels, sortScratchBytes, sortTotalsBytes } from "../rows/sortCalls.ts";
import { partialBytes, updateCalls, updateKernels } from "../rows/updateCalls.ts";
import type { LowerContext } from "./lowering.ts";

/** What to sum. */
export interface SegmentSum {
  /** int32 `[n]`, each in [0, rows). */
  indices: BufferView;
  n: number;
  /** float32 `[n, width]`. */
  updates: BufferView;
  width: number;
  /** float32 `[rows, width]`. */
  out: BufferView;
  rows: number;
}

/** Emits the steps of out[r] = Σ over i with indices[i] = r, in order, of updates[i]; rows without updates are 0. */
export function emitSegmentSum(context: LowerContext, request: SegmentSum): void {
  const { indices, n, updates, width, out, rows } = request;
  if (rows === 0 || width === 0) return;
  context.emit({ kind: "clear", to: out, bytes: 4 * rows * width });
  if (n === 0) return;
  const sorting = sortKernels(rows);
  const words = () => context.scratch(4 * n);
  const sorted = sortCalls(sorting, n, {
    keys: indices,
    values: null,
    keysOut: [words(), words()],
    valuesOut: [words(), words()],
    scratch: context.scratch(sortScratchBytes(sorting, n)),
    totals: context.scratch(sortTotalsBytes(sorting)),
  });
  const bytes = segmentBytes(n);
  const segments: SegmentPlaces<BufferView> = {
    tileItems: context.scratch(bytes.tileItems),
    items: context.scratch(bytes.items),
    itemRows: context.scratch(bytes.itemRows),
    longRows: context.scratch(bytes.longRows),
    longCount: context.scratch(bytes.longCount),
    count: context.scratch(bytes.count),
  };
  const summing = updateCalls(
    updateKernels(width, "sum"),
    { n, rows, bags: n, mark: 0 },
    {
      ...segments,
      weights: out,
      state0: null,
      state1: null,
      gradients: updates,
      bags: sorted.values,
      partials: context.scratch(partialBytes(width, n)),
      changed: null,
      guard: null,
    },
    { learningRate: 0 },
    null,
  );
  for (const call of [
    ...sorted.calls,
    ...segmentCalls(segmentKernels(), n, sorted.keys, segments),
    ...summing,
  ]) {
    emitCall(context, call);
  }
}

function emitCall(context: LowerContext, call: KernelCall<BufferView | null>): void {
  const { label, source, grid, block } = call;
  context.emit({
    kind: "kernel",
    label,
    source,
    grid,
    block,
    sharedBytes: 0,
    arguments: call.arguments.map((argument) => {
      if (argument.kind !== "buffer") return argument;
      const { place, access, bytes } = argument;
      return place === null ? { kind: "int64", value: 0 } : { kind: "buffer", view: place, access, bytes };
    }),
  });
}
