/**
 * @file The staging slots of a row memory: where a batch's lookups, distinct rows, pooled rows and gradients lie
 * in the near arena, and the checks that a batch fits.
 */
import type { Lookups } from "../data/batches/batch.ts";
import { ParetoError } from "../../base/errors.ts";
import { alignedBytes, type Arena, TABLE_VIEW_BYTES } from "../../engine/targets/cpu/index.ts";

/** The limits of a slot. */
export interface StagingShape {
  /** Tables of a batch (T). */
  tables: number;
  /** Floats of a row (D), and from a row to the next. */
  dim: number;
  stride: number;
  /** Most inputs and most lookups of a batch. */
  maxBatch: number;
  maxLookups: number;
  /** Whether rows of other memories are cached here. */
  cachesFarRows: boolean;
}

/** Bytes of hash a lookup: the hash has at most four 4-byte entries for each. */
const HASH_BYTES = 16;

/** Bytes that a slot takes in an arena. */
export function slotBytes(shape: StagingShape): number {
  return regionBytes(shape).reduce((sum, bytes) => sum + alignedBytes(bytes), 0);
}

function regionBytes(shape: StagingShape): number[] {
  const { tables, dim, stride, maxBatch, maxLookups } = shape;
  const pooled = 4 * maxBatch * tables * dim;
  return [
    4 * maxLookups,
    4 * (tables * maxBatch + 1),
    4 * maxLookups,
    4 * maxLookups,
    HASH_BYTES * maxLookups,
    maxLookups,
    pooled,
    pooled,
    TABLE_VIEW_BYTES * tables,
    TABLE_VIEW_BYTES * tables,
    shape.cachesFarRows ? 4 * stride * maxLookups : 0,
  ];
}

/** Where a table's lookups lie in a staged batch. */
export interface TableLookups {
  /** First lookup, and how many. */
  first: number;
  count: number;
}

/** One staged batch. Pointers are byte offsets into the near arena. */
export class StagingSlot {
  readonly ids: number;
  readonly offsets: number;
  readonly rows: number;
  readonly inverse: number;
  readonly hash: number;
  readonly marks: number;
  readonly output: number;
  readonly gradients: number;
  /** Views of the tables as looked up, and of far tables as cached. */
  readonly views: number;
  readonly cachedViews: number;
  readonly cache: number;
  /** Lookups of each table of the staged batch. */
  readonly tables: TableLookups[];
  /** Inputs staged; 0 before the first batch. */
  size = 0;
  isOneHot = true;
  isStaged = false;
  readonly #arena: Arena;
  readonly #shape: StagingShape;

  constructor(arena: Arena, shape: StagingShape) {
    const pointers = regionBytes(shape).map((bytes) => arena.allocate(bytes));
    [this.ids, this.offsets, this.rows, this.inverse, this.hash, this.marks] = pointers as [
      ...[number, number, number, number, number, number],
    ];
    [this.output, this.gradients, this.views, this.cachedViews, this.cache] = pointers.slice(6) as [
      ...[number, number, number, number, number],
    ];
    this.tables = Array.from({ length: shape.tables }, () => ({ first: 0, count: 0 }));
    this.#arena = arena;
    this.#shape = shape;
  }

  /** Pointer of a table's view: as looked up, or as cached. */
  view(table: number, isCached = false): number {
    return (isCached ? this.cachedViews : this.views) + table * TABLE_VIEW_BYTES;
  }

  /** Pooled rows of the staged batch, `[B, T, D]`. */
  pooled(pointer: number): Float32Array<SharedArrayBuffer> {
    return this.#arena.float32At(pointer, this.size * this.#shape.tables * this.#shape.dim);
  }

  /** Pooled rows and gradients of a batch of the most inputs. */
  arrays(): Float32Array[] {
    const { maxBatch, tables, dim } = this.#shape;
    const length = maxBatch * tables * dim;
    return [this.output, this.gradients].map((pointer) => this.#arena.float32At(pointer, length));
  }

  /**
   * Copies a batch's lookups in.
   * @throws ParetoError LOOKUPS_SHAPE, LOOKUPS_TOO_MANY
   */
  take(lookups: Lookups): void {
    const { ids, offsets, size } = lookups;
    const used = checkLookups(lookups, this.#shape);
    this.isStaged = false;
    this.size = size;
    this.isOneHot = offsets === null;
    for (const [table, part] of this.tables.entries()) {
      part.first = offsets === null ? table * size : offsets[table * size]!;
      part.count = offsets === null ? size : offsets[(table + 1) * size]! - part.first;
    }
    const bags = this.tables.length * size;
    this.#arena.int32At(this.ids, used).set(ids.length === used ? ids : ids.subarray(0, used));
    if (offsets !== null) this.#arena.int32At(this.offsets, bags + 1).set(offsets.subarray(0, bags + 1));
  }
}

/**
 * Checks that a batch fits a slot.
 * @returns its lookups
 * @throws ParetoError LOOKUPS_SHAPE, LOOKUPS_TOO_MANY
 */
export function checkLookups(
  { ids, offsets, size, tables }: Lookups,
  limits: Pick<StagingShape, "tables" | "maxBatch" | "maxLookups">,
): number {
  const { maxBatch, maxLookups } = limits;
  if (tables !== limits.tables) {
    throw shapeError(`a batch must look up ${limits.tables} tables`, tables, "build it with all tables");
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
  if (used > maxLookups || (offsets !== null && offsets[bags]! > maxLookups)) {
    throw new ParetoError({
      code: "LOOKUPS_TOO_MANY",
      where: "RowStore.stage",
      message: `a batch may hold ${maxLookups} lookups, got ${used}`,
      fix: "create the store with a larger maxLookups, or use smaller batches",
    });
  }
  return used;
}

/** Lookups whose shape does not fit. */
export function shapeError(rule: string, received: number, fix: string): ParetoError {
  return new ParetoError({
    code: "LOOKUPS_SHAPE",
    where: "RowStore.stage",
    message: `${rule}, got ${received}`,
    fix,
  });
}

/** Entries of the hash for a table's lookups: a power of two, at least twice as many, at most four times. */
export function hashEntries(lookups: number): number {
  return lookups === 0 ? 1 : 2 ** Math.ceil(Math.log2(2 * lookups));
}

/** Pointer of a table's piece of a slot's hash. */
export function hashPointer(slot: StagingSlot, first: number): number {
  return slot.hash + HASH_BYTES * first;
}

/** A store's slot by its number. @throws ParetoError SLOT_INVALID */
export function slotOf<Slot>(slots: readonly Slot[], slot: number, where: string): Slot {
  const found = slots[slot];
  if (found !== undefined) return found;
  throw new ParetoError({
    code: "SLOT_INVALID",
    where,
    message: `slots are numbered 0 to ${slots.length - 1}, got ${slot}`,
    fix: "create the store with more slots, or use one of these",
  });
}

/** A slot that holds a batch. @throws ParetoError SLOT_INVALID, SLOT_NOT_STAGED */
export function stagedSlotOf<Slot extends { isStaged: boolean }>(
  slots: readonly Slot[],
  slot: number,
  where: string,
): Slot {
  const found = slotOf(slots, slot, where);
  if (found.isStaged) return found;
  throw new ParetoError({
    code: "SLOT_NOT_STAGED",
    where,
    message: `no batch is staged there, got slot ${slot}`,
    fix: "await stage() of this slot first",
  });
}
