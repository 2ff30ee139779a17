/** @file Checks that the lookups of a batch, in one part or more, have the shape that a store was made for. */
import type { Lookups } from "../data/batches/clickBatch.ts";
import { ParetoError } from "../../base/errors.ts";

/** What a store was made for. */
export interface LookupLimits {
  /** Tables that a batch looks up (T). */
  tables: number;
  /** Most inputs, and most lookups over all tables, of a batch. */
  maxBatch: number;
  maxLookups: number;
}

/**
 * Checks that the parts of a batch fit a staging buffer together.
 * @returns the lookups of each part
 * @throws ParetoError LOOKUPS_SHAPE, LOOKUPS_TOO_MANY
 */
export function checkParts(parts: readonly Lookups[], limits: LookupLimits): number[] {
  if (parts.length === 0) throw shapeError("a batch must have a part", 0, "stage the lookups of one batch");
  const counts = parts.map((part) => checkLookups(part, limits));
  if (parts.length === 1) return counts;
  const inputs = parts.reduce((sum, { size }) => sum + size, 0);
  const lookups = counts.reduce((sum, count) => sum + count, 0);
  if (inputs > limits.maxBatch) {
    const rule = `the parts of a batch must have at most ${limits.maxBatch} inputs together`;
    throw shapeError(rule, inputs, "create the store with a larger maxBatch");
  }
  if (lookups > limits.maxLookups) throw tooMany(limits.maxLookups, lookups);
  return counts;
}

/** @returns the lookups of a part */
function checkLookups(
  { ids, offsets, size, tables }: Lookups,
  { tables: wanted, maxBatch, maxLookups }: LookupLimits,
): number {
  if (tables !== wanted) {
    throw shapeError(`a batch must look up ${wanted} tables`, tables, "build it with all tables");
  }
  if (!Number.isInteger(size) || size < 1 || size > maxBatch) {
    throw shapeError(
      `a batch must have 1 to ${maxBatch} inputs`,
      size,
      "create the store with a larger maxBatch",
    );
  }
  const bags = tables * size;
  if (offsets !== null && offsets.length < bags + 1) {
    throw shapeError(
      `bags need ${bags + 1} offsets`,
      offsets.length,
      "give a start to each bag, and the end",
    );
  }
  let used = bags;
  if (offsets !== null) {
    let last = 0;
    for (let table = 0; table <= tables; table++) {
      const start = offsets[table * size]!;
      if (start < last)
        throw shapeError("offsets of bags must not fall or be negative", start, "sum bag lengths");
      last = start;
    }
    used = last;
  }
  if (ids.length < used) {
    throw shapeError(`the bags span ${used} ids`, ids.length, "make the last offset the number of ids");
  }
  if (used > maxLookups) throw tooMany(maxLookups, used);
  return used;
}

/** Lookups whose shape does not fit. */
export function shapeError(rule: string, received: number, fix: string): ParetoError {
  return new ParetoError({
    code: "LOOKUPS_SHAPE",
    where: "EmbeddingStore.stage",
    message: `${rule}, got ${received}`,
    fix,
  });
}

function tooMany(most: number, received: number): ParetoError {
  return new ParetoError({
    code: "LOOKUPS_TOO_MANY",
    where: "EmbeddingStore.stage",
    message: `a batch may hold ${most} lookups, got ${received}`,
    fix: "Create the store with a larger maxLookups, or use smaller batches.",
  });
}
