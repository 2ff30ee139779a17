/**
 * @file The staging buffers of a embedding store on the host: where a batch's lookups, distinct rows, pooled rows and gradients lie
 * in the near arena, and the checks that a batch fits.
 */
import type { Lookups } from "../data/batches/clickBatch.ts";
import { ParetoError } from "../../base/errors.ts";
import { alignedBytes, type Arena, TABLE_VIEW_BYTES } from "../../engine/targets/cpu/index.ts";

/** The limits of a buffer. */
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
  cachesSpilledRows: boolean;
}

/** Bytes of hash a lookup: the hash has at most four 4-byte entries for each. */
const HASH_BYTES = 16;

/** Bytes that a buffer takes in an arena. */
export function stagingBufferBytes(shape: StagingShape): number {
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
    shape.cachesSpilledRows ? 4 * stride * maxLookups : 0,
  ];
}

/** Where a table's lookups lie in a staged batch. */
export interface TableLookups {
  /** First lookup, and how many. */
  first: number;
  count: number;
}

/** One staged batch. Pointers are byte offsets into the near arena. */
export class StagingBuffer {
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
 * Checks that a batch fits a buffer.
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
      where: "EmbeddingStore.stage",
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
    where: "EmbeddingStore.stage",
    message: `${rule}, got ${received}`,
    fix,
  });
}

/** Entries of the hash for a table's lookups: a power of two, at least twice as many, at most four times. */
export function hashEntries(lookups: number): number {
  return lookups === 0 ? 1 : 2 ** Math.ceil(Math.log2(2 * lookups));
}

/** Pointer of a table's piece of a buffer's hash. */
export function hashPointer(buffer: StagingBuffer, first: number): number {
  return buffer.hash + HASH_BYTES * first;
}

/** A store's buffer by its number. @throws ParetoError STAGING_BUFFER_INVALID */
export function stagingBufferOf<Buffer>(buffers: readonly Buffer[], buffer: number, where: string): Buffer {
  const found = buffers[buffer];
  if (found !== undefined) return found;
  throw new ParetoError({
    code: "STAGING_BUFFER_INVALID",
    where,
    message: `buffers are numbered 0 to ${buffers.length - 1}, got ${buffer}`,
    fix: "create the store with more buffers, or use one of these",
  });
}

/** A buffer that holds a batch. @throws ParetoError STAGING_BUFFER_INVALID, STAGING_BUFFER_EMPTY */
export function stagedBufferOf<Buffer extends { isStaged: boolean }>(
  buffers: readonly Buffer[],
  buffer: number,
  where: string,
): Buffer {
  const found = stagingBufferOf(buffers, buffer, where);
  if (found.isStaged) return found;
  throw new ParetoError({
    code: "STAGING_BUFFER_EMPTY",
    where,
    message: `no batch is staged there, got buffer ${buffer}`,
    fix: "await stage() of this buffer first",
  });
}
