/** @file The ids of a block, put together from those that were looked up in several passes. */
import { invariant } from "../../../base/errors.ts";
import type { Lookups } from "../batches/clickBatch.ts";
import type { EncodedDataset } from "./encodedDataset.ts";
import type { EncodedLayout } from "./encodedLayout.ts";

/** Ids of some tables that wait in a temporary data set. */
export interface WaitingIds {
  set: EncodedDataset;
  /** The table of each of its columns; one that was looked up in slices is in several sets. */
  tables: number[];
}

/** The lookups of a block over all tables. Of a table in slices, an id is 0 in all pieces but one. */
export function mergeIds(
  size: number,
  layout: EncodedLayout,
  pieces: readonly { lookups: Lookups; tables: readonly number[] }[],
): Lookups {
  const found: Int32Array[] = [];
  const lengths: Int32Array[] = [];
  for (const { lookups, tables } of pieces) {
    const { ids, offsets } = lookups;
    for (const [local, table] of tables.entries()) {
      const bag = local * size;
      const own = offsets === null ? [bag, bag + size] : [offsets[bag]!, offsets[bag + size]!];
      const part = ids.subarray(own[0], own[1]);
      const known = found[table];
      if (known === undefined) {
        found[table] = part.slice();
        const length = (_: unknown, b: number) =>
          offsets === null ? 1 : offsets[bag + b + 1]! - offsets[bag + b]!;
        lengths[table] = Int32Array.from({ length: size }, length);
        continue;
      }
      invariant(known.length === part.length, "slices have the same bags");
      for (let i = 0; i < part.length; i++) known[i]! |= part[i]!;
    }
  }
  const total = found.reduce((sum, { length }) => sum + length, 0);
  const ids = new Int32Array(total);
  const offsets = layout.multiHot ? new Int32Array(layout.tables * size + 1) : null;
  let next = 0;
  for (let t = 0; t < layout.tables; t++) {
    ids.set(found[t]!, next);
    if (offsets !== null) {
      for (let b = 0; b < size; b++) {
        offsets[t * size + b] = next;
        next += lengths[t]![b]!;
      }
    } else next += found[t]!.length;
  }
  if (offsets !== null) offsets[layout.tables * size] = next;
  return { size, tables: layout.tables, ids, offsets };
}
