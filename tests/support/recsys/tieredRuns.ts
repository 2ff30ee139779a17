/**
 * @file Streams of batches through embedding stores, for tests of rows in two tiers: gradients that depend on the rows read,
 * so that a stale read shows in the weights, and kernel threads that take their time.
 */
import { Rng } from "../../../src/base/rng.ts";
import type { KernelTask, ThreadPool } from "../../../src/engine/targets/cpu/index.ts";
import type { Lookups } from "../../../src/recsys/data/batches/clickBatch.ts";
import { mapLookups } from "../../../src/recsys/data/batches/mapLookups.ts";
import type { EmbeddingStore } from "../../../src/recsys/embedding/embeddingStore.ts";
import { EmbeddingTables } from "../../../src/recsys/embedding/embeddingTables.ts";
import type { SparseOptimizer } from "../../../src/recsys/embedding/sparseOptimizer.ts";
import { TieredEmbeddings } from "../../../src/recsys/embedding/tiered/tieredEmbeddings.ts";

export const CARDINALITIES = [30, 5, 200];
/** First global row of each table. */
export const FIRST_ROWS = [0, 30, 35];
export const ROWS = 235;
export const BATCH = 12;
export const MAX_LOOKUPS = BATCH * CARDINALITIES.length * 6;

/** One step: its inputs in parts. */
export type Step = Lookups[];

/** The tables and the tiers over them. */
export interface Tiers {
  tables: EmbeddingTables;
  tiered: TieredEmbeddings;
}

export interface TiersSetting {
  optimizer: SparseOptimizer;
  dim?: number;
  /** Popular rows at first. */
  popular?: Uint32Array;
  /** Rows that the budget holds. Defaults to all. */
  capacity?: number;
  earlyGather?: boolean;
  poison?: boolean;
  stagingBuffers?: number;
  arenaBytes?: number;
}

/** Tables whose first weights are whole numbers. */
export async function createTables(
  pool: ThreadPool,
  { optimizer, dim = 6, arenaBytes, stagingBuffers = 2 }: Omit<TiersSetting, "popular">,
): Promise<EmbeddingTables> {
  const tables = await EmbeddingTables.create({
    cardinalities: CARDINALITIES,
    dim,
    optimizer,
    seed: 1,
    pool,
    stagingBuffers,
    maxBatch: BATCH,
    maxLookups: MAX_LOOKUPS,
    initial: "zeros",
    ...(arenaBytes !== undefined && { arenaBytes }),
  });
  const rng = new Rng(7);
  for (const [table, rows] of CARDINALITIES.entries()) {
    tables.writeRows(table, 0, {
      weights: Float32Array.from({ length: rows * dim }, () => rng.integer(17) - 8),
      state: {},
    });
  }
  return tables;
}

export async function createTiers(pool: ThreadPool, setting: TiersSetting): Promise<Tiers> {
  const tables = await createTables(pool, setting);
  const { capacity = ROWS, earlyGather = false, poison = false, stagingBuffers = 2, popular } = setting;
  const tiered = await TieredEmbeddings.create({
    tables,
    budgetBytes: capacity * tables.format.rowBytes,
    stagingBuffers,
    maxBatch: BATCH,
    maxLookups: MAX_LOOKUPS,
    earlyGather,
    poison,
  });
  if (popular) await tiered.setPopular(popular);
  return { tables, tiered };
}

export async function disposeTiers({ tables, tiered }: Tiers): Promise<void> {
  await tiered.dispose();
  await tables.dispose();
}

/** All rows and state, flat. */
export function everything(tables: EmbeddingTables): Float32Array[] {
  return CARDINALITIES.flatMap((rows, t) => {
    const { weights, state } = tables.readRows(t, 0, rows);
    return [weights, ...Object.values(state)];
  });
}

/** A random set of rows. */
export function randomRows(rng: Rng, count: number): Uint32Array {
  const rows = Uint32Array.from({ length: ROWS }, (_, row) => row);
  for (let i = 0; i < count; i++) {
    const j = i + rng.integer(ROWS - i);
    [rows[i], rows[j]] = [rows[j]!, rows[i]!];
  }
  return rows.slice(0, count);
}

/** The inputs of a batch that look popular rows up only, and the others: a part each, if there are any. */
export function popularParts(lookups: Lookups, popular: Uint32Array): Step {
  const isPopular = new Set(popular);
  const { size, tables, ids, offsets } = lookups;
  const reads = (input: number, row: (global: number) => boolean): boolean => {
    for (let t = 0; t < tables; t++) {
      const bag = t * size + input;
      const [from, to] = offsets === null ? [bag, bag + 1] : [offsets[bag]!, offsets[bag + 1]!];
      for (let l = from; l < to; l++) if (row(FIRST_ROWS[t]! + ids[l]!)) return true;
    }
    return false;
  };
  const inputs = [...Array.from({ length: size }).keys()];
  const isCold = (input: number) => reads(input, (row) => !isPopular.has(row));
  const parts = [inputs.filter((input) => !isCold(input)), inputs.filter(isCold)];
  return parts.filter((part) => part.length > 0).map((part) => mapLookups(lookups, Uint32Array.from(part)));
}

/**
 * Writes gradients that are whole numbers and depend on the rows read: sums of them are exact in any order, and a stale read
 * changes them.
 */
function wholeGradients(store: EmbeddingStore, buffer: number, part: number): void {
  const rows = store.rows(buffer, part) as Float32Array;
  const gradients = store.gradients(buffer, part) as Float32Array;
  for (let i = 0; i < rows.length; i++) gradients[i] = ((Math.floor(rows[i]! * 64) + 3 * i) % 7) - 3;
}

/** Writes gradients of ordinary numbers that depend on the rows read. */
export function realGradients(store: EmbeddingStore, buffer: number, part: number): void {
  const rows = store.rows(buffer, part) as Float32Array;
  const gradients = store.gradients(buffer, part) as Float32Array;
  for (let i = 0; i < rows.length; i++) gradients[i] = Math.sin(rows[i]! + i);
}

type Gradients = typeof wholeGradients;

/** One step after the other in one buffer. */
export async function serially(
  store: EmbeddingStore,
  steps: readonly Step[],
  { learningRate = 1, gradients = wholeGradients as Gradients, firstStep = 1 } = {},
): Promise<void> {
  for (const [i, parts] of steps.entries()) {
    await store.stage(0, ...parts);
    for (const part of parts.keys()) {
      await store.ready(0, part);
      gradients(store, 0, part);
    }
    await store.update(0, learningRate, firstStep + i);
  }
}

/**
 * As `StepPipeline` does: the next steps are staged, in the other buffers, while one computes; the update is then forwarded
 * to them.
 * @param between called before each step, when no step is under way but the next are staged
 */
export async function pipelined(
  store: EmbeddingStore,
  steps: readonly Step[],
  { learningRate = 1, gradients = wholeGradients as Gradients, firstStep = 1, rng = null as Rng | null } = {},
): Promise<void> {
  const buffers = store.stagingBuffers;
  const ahead = Math.min(buffers - 1, steps.length - 1);
  for (let i = 0; i <= ahead - 1; i++) await store.stage(i, ...steps[i]!);
  for (const [i, parts] of steps.entries()) {
    const buffer = i % buffers;
    if (ahead === 0) await store.stage(0, ...parts);
    const next = i + ahead;
    // The first part computes while the others are gathered, and the next step is staged meanwhile.
    const staging =
      ahead > 0 && next < steps.length ? store.stage(next % buffers, ...steps[next]!) : Promise.resolve();
    // It is awaited below.
    staging.catch(() => undefined);
    if (rng && rng.integer(2) === 0) await staging;
    for (const part of parts.keys()) {
      await store.ready(buffer, part);
      gradients(store, buffer, part);
    }
    if (!rng || rng.integer(2) === 0) await staging;
    await store.update(buffer, learningRate, firstStep + i);
    await staging;
    for (let later = i + 1; later <= Math.min(next, steps.length - 1); later++) {
      if (ahead > 0) await store.refresh(later % buffers, buffer);
    }
  }
}

/** Threads that run jobs late, cut up and in another order. Tasks that `drops` says are left out. */
export function slowPool(
  pool: ThreadPool,
  rng: Rng | null,
  drops: (task: KernelTask) => boolean = () => false,
): ThreadPool {
  const pause = async (): Promise<void> => {
    for (let turns = rng?.integer(4) ?? 0; turns > 0; turns--) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const run = async (all: readonly KernelTask[]): Promise<void> => {
    const tasks = all.filter((task) => !drops(task));
    if (!rng) return pool.run(tasks);
    for (let i = tasks.length - 1; i > 0; i--) {
      const j = rng.integer(i + 1);
      [tasks[i], tasks[j]] = [tasks[j]!, tasks[i]!];
    }
    await pause();
    const cut = rng.integer(tasks.length + 1);
    await pool.run(tasks.slice(0, cut));
    await pause();
    await pool.run(tasks.slice(cut));
    await pause();
  };
  return {
    threads: pool.threads,
    run,
    release: (arena: KernelTask["arena"]) => pool.release(arena),
  } as unknown as ThreadPool;
}
