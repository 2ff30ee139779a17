/**
 * @file Sorted keys cut into work items of at most 64 lookups of one row, as kernel launches (`segmentRows.cu`).
 */
import type { KernelSource } from "../plan.ts";
import { cuSource } from "../kernels/source.ts";
import { argument, CALL_THREADS, type KernelCall } from "./kernelCall.ts";
import { TILE } from "./sortCalls.ts";

/** Lookups of an item; `ITEM` of the kernels. */
const ITEM = 64;

/** Kernels that find items. */
export interface SegmentKernels {
  count: KernelSource;
  write: KernelSource;
}

/** The kernels. */
export function segmentKernels(): SegmentKernels {
  return {
    count: cuSource("segmentRows.cu", "countItems", { COUNT: 1 }),
    write: cuSource("segmentRows.cu", "writeItems", { WRITE: 1 }),
  };
}

/** Memory of items; bytes as {@link segmentBytes} says. */
export interface SegmentPlaces<P> {
  tileItems: P;
  items: P;
  itemRows: P;
  longRows: P;
  longCount: P;
  count: P;
}

/** Rows of several items that `n` lookups can have. */
export function longRowsOf(n: number): number {
  return Math.floor(n / (ITEM + 1));
}

/** Bytes of each place for up to `n` lookups. */
export function segmentBytes(n: number): Record<keyof SegmentPlaces<unknown>, number> {
  return {
    tileItems: 4 * Math.max(1, Math.ceil(n / TILE)),
    items: 4 * (n + 1),
    itemRows: 4 * Math.max(1, n),
    longRows: 8 * Math.max(1, longRowsOf(n)),
    longCount: 4,
    count: 4,
  };
}

/** Rows of floats that the sums of the items of long rows take, for up to `n` lookups. */
export function partialRows(n: number): number {
  return 2 * Math.ceil(n / ITEM);
}

/**
 * The launches that find the items.
 * @param n keys, above 0, at most 2^30
 */
export function segmentCalls<P>(
  kernels: SegmentKernels,
  n: number,
  keys: P,
  places: SegmentPlaces<P>,
): KernelCall<P>[] {
  const bytes = segmentBytes(n);
  const grid = [Math.ceil(n / TILE), 1, 1] as const;
  const block = [CALL_THREADS, 1, 1] as const;
  const label = `items of ${n} lookups`;
  const write = (name: keyof SegmentPlaces<P>) => argument.write(places[name], bytes[name]);
  return [
    {
      label,
      source: kernels.count,
      grid,
      block,
      arguments: [argument.read(keys, 4 * n), write("tileItems"), write("longCount"), argument.int32(n)],
    },
    {
      label,
      source: kernels.write,
      grid,
      block,
      arguments: [
        argument.read(keys, 4 * n),
        argument.read(places.tileItems, bytes.tileItems),
        write("items"),
        write("itemRows"),
        write("longRows"),
        argument.update(places.longCount, bytes.longCount),
        write("count"),
        argument.int32(n),
      ],
    },
  ];
}
