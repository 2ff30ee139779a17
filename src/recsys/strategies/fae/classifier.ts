/**
 * @file The input classifier of FAE: an input is hot when every row it looks up is a hot row. One
 * cold row makes it cold; an input whose bags are all empty is hot.
 *
 * Hot inputs are re-encoded from (table, row) to hot indices, which are int32 throughout: the authors' profiler kept
 * them as float32, exact only below 2^24.
 */
import type { Lookups } from "../../data/batches/clickBatch.ts";
import { invariant } from "../../../base/errors.ts";
import type { HotSet } from "./hotSet.ts";

/** Positions of a batch's inputs by class, each rising. */
export interface InputClasses {
  hot: Uint32Array;
  cold: Uint32Array;
}

/** Classifies the inputs `[start, end)` of a batch, all of them by default. */
export function classifyInputs(
  lookups: Lookups,
  hotSet: Pick<HotSet, "hotIndexOf" | "space">,
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
  { hotIndexOf, space }: Pick<HotSet, "hotIndexOf" | "space">,
  input: number,
): boolean {
  const { ids, offsets, size } = lookups;
  for (let table = 0; table < lookups.tables; table++) {
    const first = space.offsets[table]!;
    const bag = table * size + input;
    const end = offsets === null ? bag + 1 : offsets[bag + 1]!;
    for (let k = offsets === null ? bag : offsets[bag]!; k < end; k++) {
      if (hotIndexOf[first + ids[k]!]! < 0) return false;
    }
  }
  return true;
}

/** The hot index of a row that a hot input looks up. */
export function hotIndices({ hotIndexOf, space }: HotSet): (table: number, row: number) => number {
  return (table, row) => {
    const hotIndex = hotIndexOf[space.offsets[table]! + row]!;
    invariant(hotIndex >= 0, `row ${row} of table ${table} is not hot, yet its input was classified hot`);
    return hotIndex;
  };
}
