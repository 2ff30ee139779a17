/**
 * @file Rows read as kernel launches: lookups turned into keys (`lookupKeys.cu`), rows gathered and pooled
 * (`gatherRows.cu`), and rows filled with their first values (`fillRows.cu`).
 */
import type { KernelSource } from "../plan.ts";
import { cuSource } from "../kernels/source.ts";
import { argument, CALL_THREADS, type KernelCall } from "./kernelCall.ts";
import { lanesOf, strideOf } from "./updateCalls.ts";

/** Rows that a group of threads of the gather reads at once; `ROUNDS` of the kernel. */
const GATHER_ROUNDS = 4;

/** Kernels of lookups into `tables` tables of rows of `dim` floats; by whether a bag holds exactly one id. */
export interface GatherKernels {
  dim: number;
  tables: number;
  keys: { oneHot: KernelSource; bags: KernelSource };
  gather: { oneHot: KernelSource; bags: KernelSource };
}

/** @param hasOwners whether each row belongs to one table of the batch */
export function gatherKernels(dim: number, tables: number, hasOwners: boolean): GatherKernels {
  const keys = { THREADS: CALL_THREADS, ...(hasOwners && { OWNERS: 1 }) };
  const gather = {
    DIM: dim,
    TABLES: tables,
    LANES: lanesOf(dim),
    THREADS: CALL_THREADS,
    ROUNDS: GATHER_ROUNDS,
  };
  return {
    dim,
    tables,
    keys: {
      oneHot: cuSource("lookupKeys.cu", "lookupKeys", keys),
      bags: cuSource("lookupKeys.cu", "lookupKeys", { ...keys, BAGS: 1 }),
    },
    gather: {
      oneHot: cuSource("gatherRows.cu", "gatherRows", gather),
      bags: cuSource("gatherRows.cu", "gatherRows", { ...gather, BAGS: 1 }),
    },
  };
}

/** A batch's lookups: `size` inputs, `lookups` ids. */
export interface LookupShape {
  size: number;
  lookups: number;
  isOneHot: boolean;
}

/** Memory of a batch's lookups. */
export interface LookupPlaces<P> {
  ids: P;
  /** `[T * size + 1]`; not read when bags hold one id each. */
  offsets: P;
  /** `[T]` first global row, and rows, of each table. */
  firstRows: P;
  rows: P;
  /** u16 a row, or null. */
  owners: P | null;
  /** Out, `[lookups]`. */
  keys: P;
  bags: P;
  /** Out, two words. */
  bad: P;
}

/** The launch that makes keys. */
export function keysCall<P>(
  { tables, keys }: GatherKernels,
  { size, lookups, isOneHot }: LookupShape,
  places: LookupPlaces<P>,
  none: P,
): KernelCall<P> {
  return {
    label: `keys of ${lookups} lookups`,
    source: isOneHot ? keys.oneHot : keys.bags,
    grid: [Math.ceil(size / CALL_THREADS), tables, 1],
    block: [CALL_THREADS, 1, 1],
    arguments: [
      argument.read(places.ids, 4 * lookups),
      argument.read(isOneHot ? none : places.offsets, isOneHot ? 0 : 4 * (tables * size + 1)),
      argument.read(places.firstRows, 4 * tables),
      argument.read(places.rows, 4 * tables),
      argument.read(places.owners ?? none, 0),
      argument.write(places.keys, 4 * lookups),
      argument.write(places.bags, 4 * lookups),
      argument.update(places.bad, 8),
      argument.int32(size),
      argument.int32(lookups),
    ],
  };
}

/**
 * The launch that gathers `[padded, T, D]`, zeros for inputs from `size` on.
 * @param rows of `weights`
 */
export function gatherCall<P>(
  { dim, tables, gather }: GatherKernels,
  { size, lookups, isOneHot }: LookupShape,
  { padded, rows }: { padded: number; rows: number },
  places: { weights: P; keys: P; offsets: P; out: P },
  none: P,
): KernelCall<P> {
  const rowsOfBlock = (CALL_THREADS / lanesOf(dim)) * GATHER_ROUNDS;
  return {
    label: `gather ${padded * tables} rows of ${dim}`,
    source: isOneHot ? gather.oneHot : gather.bags,
    grid: [Math.ceil((padded * tables) / rowsOfBlock), 1, 1],
    block: [CALL_THREADS, 1, 1],
    arguments: [
      argument.read(places.weights, 4 * strideOf(dim) * rows),
      argument.read(places.keys, 4 * lookups),
      argument.read(isOneHot ? none : places.offsets, isOneHot ? 0 : 4 * (tables * size + 1)),
      argument.write(places.out, 4 * dim * padded * tables),
      argument.int32(size),
      argument.int32(padded),
      argument.int32(lookups),
    ],
  };
}

/** The kernel that fills rows. */
export function fillKernel(dim: number): KernelSource {
  return cuSource("fillRows.cu", "fillRows", { DIM: dim, THREADS: CALL_THREADS });
}

/** The launch that fills the `count` rows of a table with U(-bound, bound), a function of seed, table, row, element. */
export function fillCall<P>(
  source: KernelSource,
  dim: number,
  { count, table, seed, bound }: { count: number; table: number; seed: number; bound: number },
  rows: P,
): KernelCall<P> {
  const vectors = strideOf(dim) / 4;
  return {
    label: `fill ${count} rows of ${dim}`,
    source,
    grid: [Math.ceil((count * vectors) / CALL_THREADS), 1, 1],
    block: [CALL_THREADS, 1, 1],
    arguments: [
      argument.write(rows, 16 * vectors * count),
      argument.int32(count),
      argument.int32(table),
      argument.int32(seed | 0),
      argument.int32(Math.floor(seed / 2 ** 32) | 0),
      argument.float32(bound),
    ],
  };
}
