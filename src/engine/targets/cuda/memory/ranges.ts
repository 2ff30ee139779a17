/** @file Ranges of addresses that do not overlap, in order: which are locked, and what a new one replaces. */

/** Addresses from `start` up to, not with, `end`. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** Index of the last range that starts at or before an address; -1 for none. */
function lastFrom(ranges: readonly Range[], address: number): number {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ranges[middle]!.start <= address) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** Whether one range of the list holds all of `wanted`. */
export function holdsRange(ranges: readonly Range[], wanted: Range): boolean {
  const range = ranges[lastFrom(ranges, wanted.start)];
  return range !== undefined && range.end >= wanted.end;
}

/** Whether a range of the list holds some of `wanted`. */
export function touchesRange(ranges: readonly Range[], wanted: Range): boolean {
  const before = ranges[lastFrom(ranges, wanted.end - 1)];
  return before !== undefined && before.end > wanted.start;
}

/** Adds a range: those that it overlaps become one with it. */
export function addRange(
  ranges: readonly Range[],
  added: Range,
): { ranges: readonly Range[]; merged: Range; replaced: readonly Range[] } {
  const replaced = ranges.filter(({ start, end }) => start < added.end && end > added.start);
  const merged = {
    start: Math.min(added.start, ...replaced.map(({ start }) => start)),
    end: Math.max(added.end, ...replaced.map(({ end }) => end)),
  };
  const kept = ranges.filter((range) => !replaced.includes(range));
  const place = lastFrom(kept, merged.start) + 1;
  return { ranges: kept.toSpliced(place, 0, merged), merged, replaced };
}
