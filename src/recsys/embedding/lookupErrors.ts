/** @file What is said of lookups that name no row, or of bags that make no sense; the same for every store. */
import type { Lookups } from "../data/batches/clickBatch.ts";
import { ParetoError } from "../../base/errors.ts";

/** A bag whose end lies before its start. */
export function badBag(table: number, input: number, cause?: unknown): ParetoError {
  return new ParetoError({
    code: "LOOKUPS_OFFSETS",
    where: `table ${table}, input ${input}`,
    message: "a bag's end lies before its start",
    fix: "make offsets the running sum of bag lengths",
    cause,
  });
}

/**
 * An id outside its table, or of another table's row.
 * @param lookup counted from the table's first
 * @param owned whether rows belong to one table each
 */
export function badLookup(
  { ids, offsets, size }: Lookups,
  { table, lookup, rows, owned }: { table: number; lookup: number; rows: number; owned: boolean },
  cause?: unknown,
): ParetoError {
  const first = offsets === null ? table * size : offsets[table * size]!;
  return new ParetoError({
    code: "LOOKUP_OUT_OF_RANGE",
    where: `table ${table}, lookup ${lookup}`,
    message: `ids must name one of ${rows} rows${owned ? " of this table" : ""}, got ${ids[first + lookup]}`,
    fix: "encode inputs with the vocabularies that sized the tables",
    cause,
  });
}
