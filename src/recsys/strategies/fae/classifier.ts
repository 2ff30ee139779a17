/**
 * @file The input classifier of FAE: an input is hot when every row it looks up has a slot in the hot bag. One
 * cold row makes it cold; an input whose bags are all empty is hot.
 *
 * Hot inputs are re-encoded from (table, row) to slots, which are int32 throughout: the authors' profiler kept
 * them as float32, exact only below 2^24.
 */
import type { Lookups } from "../../data/batches/batch.ts";
import { invariant } from "../../../base/errors.ts";
import type { HotSet } from "./hotSet.ts";
import type { RowSpace } from "./rowSpace.ts";
import { mapLookups } from "./mapLookups.ts";
import { tableOf } from "./rowSpace.ts";

/** Positions of a batch's inputs by class, each rising. */
export interface InputClasses {
  hot: Uint32Array;
  cold: Uint32Array;
}

/**
 * Cuts `[0, items)` into consecutive ranges for workers, none dropped and none empty; sizes differ by one at
 * most. (The authors' profiler used `floor(items / workers)` a worker and lost the rest.)
 * @returns `[start, end)` pairs, at most `workers`
 */
export function splitRanges(items: number, workers: number): [number, number][] {
  const parts = Math.min(items, Math.max(1, Math.floor(workers)));
  return Array.from({ length: parts }, (_, w) => [
    Math.floor((w * items) / parts),
    Math.floor(((w + 1) * items) / parts),
  ]);
}

/** Classifies the inputs `[start, end)` of a batch, all of them unless told. */
export function classifyInputs(
  lookups: Lookups,
  hotSet: Pick<HotSet, "slotOf" | "space">,
  start = 0,
  end = lookups.size,
): InputClasses {
  const hot = new Uint32Array(end - start);
  const cold = new Uint32Array(end - start);
  let hotCount = 0;
  let coldCount = 0;
  for (let b = start; b < end; b++) {
    if (isHot(lookups, hotSet, b)) hot[hotCount++] = b;
    else cold[coldCount++] = b;
  }
  return { hot: hot.subarray(0, hotCount), cold: cold.subarray(0, coldCount) };
}

function isHot(
  lookups: Lookups,
  { slotOf, space }: Pick<HotSet, "slotOf" | "space">,
  input: number,
): boolean {
  const { ids, offsets, size } = lookups;
  for (let table = 0; table < lookups.tables; table++) {
    const first = space.offsets[table]!;
    const bag = table * size + input;
    const end = offsets === null ? bag + 1 : offsets[bag + 1]!;
    for (let k = offsets === null ? bag : offsets[bag]!; k < end; k++) {
      if (slotOf[first + ids[k]!]! < 0) return false;
    }
  }
  return true;
}

/**
 * Lookups of the chosen inputs alone, with slots in place of rows.
 * @param selection positions of hot inputs
 */
export function encodeHot(lookups: Lookups, selection: Uint32Array, hotSet: HotSet): Lookups {
  const { slotOf, space } = hotSet;
  return mapLookups(lookups, selection, (table, row) => {
    const slot = slotOf[space.offsets[table]! + row]!;
    invariant(slot >= 0, `row ${row} of table ${table} has no slot, yet its input was classified hot`);
    return slot;
  });
}

/** Rows of tables from the slots of hot inputs: the inverse of {@link encodeHot}. */
export function decodeHot(lookups: Lookups, rows: Uint32Array, space: RowSpace): Lookups {
  const all = Uint32Array.from({ length: lookups.size }, (_, b) => b);
  return mapLookups(lookups, all, (table, slot) => {
    const row = rows[slot];
    invariant(
      row !== undefined && tableOf(space, row) === table,
      `slot ${slot} is not a row of table ${table}`,
    );
    return row - space.offsets[table]!;
  });
}
