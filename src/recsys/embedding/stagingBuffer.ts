/**
 * @file The staging buffers of an embedding store on the host: where a batch's lookups, distinct rows, pooled rows and gradients lie
 * in the main arena, and the checks that a batch fits.
 */
import type { Lookups } from "../data/batches/clickBatch.ts";
import { ParetoError } from "../../base/errors.ts";
import { alignedBytes, type Arena, TABLE_VIEW_BYTES } from "../../engine/targets/cpu/index.ts";
import { joinLookups } from "./joinLookups.ts";
import { checkParts, type LookupLimits } from "./lookupChecks.ts";

/** The limits of a buffer. */
export interface StagingShape extends LookupLimits {
  /** Floats of a row (D), and from a row to the next. */
  dim: number;
  stride: number;
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

/** One staged batch. Pointers are byte offsets into the main arena. */
export class StagingBuffer {
  readonly ids: number;
  readonly offsets: number;
  readonly rows: number;
  readonly inverse: number;
  readonly hash: number;
  readonly marks: number;
  readonly output: number;
  readonly gradients: number;
  /** Views of the tables as looked up, and of spilled tables as cached. */
  readonly views: number;
  readonly cachedViews: number;
  readonly cache: number;
  /** Lookups of each table of the staged batch. */
  readonly tables: TableLookups[];
  /** Inputs staged, of all parts; 0 before the first batch. */
  size = 0;
  isOneHot = true;
  /** First input of each part, and the end. */
  starts: number[] = [0, 0];
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

  /** Pooled rows, or gradients, of a part of the staged batch, `[inputs, T, D]`. @throws ParetoError PART_INVALID */
  pooled(pointer: number, part: number): Float32Array<SharedArrayBuffer> {
    const { from, size } = partOf(this.starts, part);
    const { tables, dim } = this.#shape;
    return this.#arena.float32At(pointer + 4 * from * tables * dim, size * tables * dim);
  }

  /** Pooled rows and gradients of a batch of the most inputs. */
  arrays(): Float32Array[] {
    const { maxBatch, tables, dim } = this.#shape;
    const length = maxBatch * tables * dim;
    return [this.output, this.gradients].map((pointer) => this.#arena.float32At(pointer, length));
  }

  /**
   * Copies the lookups of a batch in, in one part or more.
   * @throws ParetoError LOOKUPS_SHAPE, LOOKUPS_TOO_MANY
   */
  take(parts: readonly Lookups[]): void {
    const counts = checkParts(parts, this.#shape);
    this.isStaged = false;
    const { tables, maxBatch } = this.#shape;
    const ids = this.#arena.int32At(this.ids, this.#shape.maxLookups);
    const offsets = this.#arena.int32At(this.offsets, tables * maxBatch + 1);
    const { size, isOneHot, starts } = joinLookups(parts, counts, ids, offsets);
    this.size = size;
    this.isOneHot = isOneHot;
    this.starts = starts;
    for (const [table, range] of this.tables.entries()) {
      range.first = isOneHot ? table * size : offsets[table * size]!;
      range.count = isOneHot ? size : offsets[(table + 1) * size]! - range.first;
    }
  }

  /** A lookup of a table, counted from the table's first. */
  idAt(table: number, lookup: number): number {
    return this.#arena.int32At(this.ids + 4 * (this.tables[table]!.first + lookup), 1)[0]!;
  }
}

/** The inputs of a part of a staged batch. @throws ParetoError PART_INVALID */
export function partOf(starts: readonly number[], part: number): { from: number; size: number } {
  const [from, to] = [starts[part], starts[part + 1]];
  if (from !== undefined && to !== undefined) return { from, size: to - from };
  throw new ParetoError({
    code: "PART_INVALID",
    where: "EmbeddingStore",
    message: `parts of the staged batch are numbered 0 to ${starts.length - 2}, got ${part}`,
    fix: "Ask for a part that was staged.",
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
    fix: "Create the store with more buffers, or use one of these.",
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
    fix: "Await stage() of this buffer first.",
  });
}
