/** @file Errors for lookups that name no row and for bags that end before they start; the same for every store. */
import { ParetoError } from "../../base/errors.ts";

/** A bag whose end lies before its start. */
export function badBag(table: number, input: number, cause?: unknown): ParetoError {
  return new ParetoError({
    code: "LOOKUPS_OFFSETS",
    where: `table ${table}, input ${input}`,
    message: `a bag must not end before its start, got input ${input} of table ${table}`,
    fix: "Make offsets the running sum of bag lengths.",
    cause,
  });
}

/** A lookup that is refused. */
export interface BadLookup {
  table: number;
  /** Counted from the table's first. */
  lookup: number;
  id: number;
  /** Rows that ids may name. */
  rows: number;
  /** Whether rows belong to one table each. */
  owned: boolean;
}

/** An id outside its table, or of another table's row. */
export function badLookup({ table, lookup, id, rows, owned }: BadLookup, cause?: unknown): ParetoError {
  return new ParetoError({
    code: "LOOKUP_OUT_OF_RANGE",
    where: `table ${table}, lookup ${lookup}`,
    message: `ids must name one of ${rows} rows${owned ? " of this table" : ""}, got ${id}`,
    fix: "Encode inputs with the vocabularies that sized the tables.",
    cause,
  });
}
