/** @file The row kernels on their threads: copies and random row gathers, checked to the last element and timed. */
import { Rng } from "../../base/rng.ts";
import {
  Arena,
  type KernelTask,
  TABLE_VIEW_BYTES,
  type TableView,
  ThreadPool,
  writeTableView,
} from "../targets/cpu/index.ts";
import { bestSeconds, check, type Check } from "./check.ts";

/** More than processors cache, so that memory is what is measured. */
const TABLE_BYTES = 256 * 2 ** 20;
const OUTPUT_BYTES = 64 * 2 ** 20;
/** A row of 16 float32. */
const ROW_BYTES = 64;
/** A block copied as one row. */
const BLOCK_BYTES = 4096;
/** Bytes that one task moves. */
const TASK_BYTES = 512 * 1024;
const TIMED_MS = 500;

const noView: TableView = {
  ids: 0,
  first: 0,
  lookups: 0,
  offsets: 0,
  size: 0,
  cardinality: 0,
  table: 0,
  owners: 0,
  dim: 0,
  stride: 0,
  rows: 0,
  inverse: 0,
  hash: 0,
  mask: 0,
  marks: 0,
  count: 0,
  weights: 0,
  state0: 0,
  state1: 0,
  changed: 0,
  mark: 0,
  output: 0,
  gradients: 0,
  outputStride: 0,
  sums: 0,
};

/** Elements of the table, by place: whole numbers that float32 holds exactly and that differ between rows. */
const elementAt = (place: number) => place % 16_777_213;

/** Loads the kernels, starts threads, copies in order and gathers at random. */
export async function rowChecks(threads: number): Promise<Check[]> {
  let pool: ThreadPool | undefined;
  const loaded = await check("row kernels", async () => {
    pool = await ThreadPool.create(threads);
    return {
      ok: true,
      value: threads,
      unit: "threads",
      detail: "The WebAssembly SIMD kernels load and their threads start.",
    };
  });
  if (!pool) return [loaded];
  try {
    const bench = new RowBench(pool);
    const copy = await check("copy bandwidth", async () => {
      const seconds = await bench.gather(BLOCK_BYTES, (i) => i);
      return {
        ...bench.verdict(BLOCK_BYTES, `${BLOCK_BYTES / 1024} KiB blocks in order`),
        value: Math.round((2 * OUTPUT_BYTES) / seconds / 1e8) / 10,
        unit: "GB/s",
      };
    });
    const random = await check("random rows", async () => {
      const rng = new Rng(2);
      const seconds = await bench.gather(ROW_BYTES, () =>
        Math.floor(rng.uniform() * (TABLE_BYTES / ROW_BYTES)),
      );
      return {
        ...bench.verdict(
          ROW_BYTES,
          `${ROW_BYTES}-byte rows of a ${TABLE_BYTES / 2 ** 20} MiB table at random`,
        ),
        value: Math.round(OUTPUT_BYTES / ROW_BYTES / seconds / 1e5) / 10,
        unit: "million rows/s",
      };
    });
    return [loaded, copy, random];
  } catch (error) {
    return [loaded, await check("embedding store on the host", () => Promise.reject(error as Error))];
  } finally {
    await pool.dispose();
  }
}

/** A table, a list of ids and room for the rows that they name. */
class RowBench {
  readonly #pool: ThreadPool;
  readonly #arena: Arena;
  readonly #view: number;
  readonly #table: number;
  readonly #ids: number;
  readonly #output: number;

  constructor(pool: ThreadPool) {
    const idBytes = (OUTPUT_BYTES / ROW_BYTES) * 4;
    this.#pool = pool;
    this.#arena = new Arena(TABLE_BYTES + OUTPUT_BYTES + idBytes + TABLE_VIEW_BYTES + 4096);
    this.#view = this.#arena.allocate(TABLE_VIEW_BYTES);
    this.#table = this.#arena.allocate(TABLE_BYTES);
    this.#ids = this.#arena.allocate(idBytes);
    this.#output = this.#arena.allocate(OUTPUT_BYTES);
    const table = this.#arena.float32At(this.#table, TABLE_BYTES / 4);
    for (let i = 0; i < table.length; i++) table[i] = elementAt(i);
  }

  /** Gathers as many rows as the output holds; returns the best time in seconds. */
  async gather(rowBytes: number, idOf: (i: number) => number): Promise<number> {
    const count = OUTPUT_BYTES / rowBytes;
    const ids = this.#arena.int32At(this.#ids, count);
    for (let i = 0; i < count; i++) ids[i] = idOf(i);
    this.#arena.float32At(this.#output, OUTPUT_BYTES / 4).fill(-1);
    writeTableView(this.#arena, this.#view, {
      ...noView,
      ids: this.#ids,
      lookups: count,
      size: count,
      cardinality: TABLE_BYTES / rowBytes,
      dim: rowBytes / 4,
      stride: rowBytes,
      weights: this.#table,
      output: this.#output,
      outputStride: rowBytes,
    });
    const step = TASK_BYTES / rowBytes;
    const tasks: KernelTask[] = Array.from({ length: count / step }, (_, t) => ({
      kernel: "gatherRows",
      arena: this.#arena,
      arguments: [this.#view, t * step, (t + 1) * step],
    }));
    return bestSeconds(TIMED_MS, () => this.#pool.run(tasks));
  }

  /** Whether every element of every row gathered last is right. */
  verdict(rowBytes: number, what: string): { ok: boolean; detail: string } {
    const width = rowBytes / 4;
    const ids = this.#arena.int32At(this.#ids, OUTPUT_BYTES / rowBytes);
    const output = this.#arena.float32At(this.#output, OUTPUT_BYTES / 4);
    let wrong = 0;
    for (let i = 0, at = 0; i < ids.length; i++) {
      const first = ids[i]! * width;
      for (let e = 0; e < width; e++) if (output[at++] !== elementAt(first + e)) wrong++;
    }
    const right = wrong === 0 ? "every element is right" : `${wrong} elements are wrong`;
    return { ok: wrong === 0, detail: `${what}, on ${this.#pool.threads} threads; ${right}.` };
  }
}
