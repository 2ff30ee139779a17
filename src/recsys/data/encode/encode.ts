/**
 * @file Encodes the rows of a source into data sets, one for each part. DuckDB transforms numbers and hashes categorical
 * values to keys, in the order of the rows; threads look the keys up in the vocabularies, and the rows go to disk.
 *
 * Memory stays bounded whatever the cardinalities: vocabularies that do not fit in their share of memory are looked up in
 * several passes over the rows, one that is too large by itself in slices, and the ids of all passes but the last wait in
 * temporary data sets.
 */
import { join } from "node:path";
import { invariant } from "../../../base/errors.ts";
import type { ClickBatch } from "../batches/clickBatch.ts";
import { RowsOutOfOrder, RowStream } from "../source/rowStream.ts";
import type { Source } from "../source/source.ts";
import { BlockThreads } from "./blockThreads.ts";
import type { Salt } from "./categoryKeys.ts";
import { planQueries, type CategoricalInput, type DenseInput, type RowFacts } from "./encodeQueries.ts";
import type { EncodedDataset } from "./encodedDataset.ts";
import { EncodedDatasetWriter } from "./encodedDatasetWriter.ts";
import type { EncodedLayout } from "./encodedLayout.ts";
import { tableBytes, type KeyTable } from "./keyTable.ts";
import { loadTable } from "./loadTable.ts";
import { mergeIds, type WaitingIds } from "./mergeIds.ts";
import {
  BLOCK_ROWS,
  blockBytes,
  createBlock,
  makeRoom,
  toBatch,
  type RawBlock,
  type RawLayout,
} from "./rawBlock.ts";
import type { EncodedField } from "./vocabulary.ts";

/** Called as work advances: `done` of `total` units of a task. */
export type Progress = (done: number, total: number, unit: string, task: "vocabulary" | "encode") => void;

/** What to encode. */
export interface EncodeInput extends RowFacts {
  source: Source;
  dense: DenseInput[];
  categorical: CategoricalInput[];
  /** By categorical input: what tells its values in the source and its vocabulary apart. */
  salts: readonly Salt[];
  /** Folder for waiting ids, removed by the caller. */
  tempDirectory: string;
  /** Bytes of vocabularies that are held at once (default two fifths of DuckDB's memory). */
  tablesBytes?: number;
  onProgress?: Progress;
}

/** Of all blocks under way, of columns that are no lists. */
const MOST_BLOCK_BYTES = 64 * 2 ** 20;

/** A categorical column that a pass looks up. */
interface PassField {
  /** Place among the categorical inputs. */
  table: number;
  /** The slice of its vocabulary, and how many there are. */
  slice: number;
  slices: number;
}

/** Vocabularies in passes, so that those of each fit in the budget. */
function planPasses(fields: readonly EncodedField[], budget: number): PassField[][] {
  const passes: PassField[][] = [[]];
  let bytes = 0;
  for (const [table, { encoding, cardinality }] of fields.entries()) {
    const all = encoding === "hash" ? 0 : tableBytes(cardinality - 1);
    const slices = Math.max(1, Math.ceil(all / budget));
    for (let slice = 0; slice < slices; slice++) {
      if (bytes + all / slices > budget && passes.at(-1)!.length > 0) {
        passes.push([]);
        bytes = 0;
      }
      passes.at(-1)!.push({ table, slice, slices });
      bytes += all / slices;
    }
  }
  return passes;
}

/** The layout of the data sets that come of it. */
function layoutOf({ dense, categorical }: Pick<EncodeInput, "dense" | "categorical">): EncodedLayout {
  return {
    dense: dense.length,
    tables: categorical.length,
    cardinalities: categorical.map(({ field }) => field.cardinality),
    multiHot: categorical.some(({ field }) => field.multiHot),
  };
}

/** The encoded rows of a pass, in blocks that are valid until the next is asked for; `rows` hold the parts. */
async function* encodedBlocks(
  input: EncodeInput,
  pass: readonly PassField[],
  isLast: boolean,
  isSorted: boolean,
): AsyncGenerator<ClickBatch, void, undefined> {
  const { source } = input;
  const fields = pass.map(({ table }) => input.categorical[table]!);
  const salts = pass.map(({ table }) => input.salts[table]!);
  const dense = isLast ? input.dense : [];
  const tables: (KeyTable | null)[] = [];
  for (const [i, { slice, slices }] of pass.entries()) {
    tables.push(await loadTable(source.database, fields[i]!, salts[i]!, slice, slices));
  }
  const layout: RawLayout = {
    dense: dense.length,
    categories: fields.map(({ field }) => ({
      isList: field.multiHot,
      isKeyed: field.encoding === "vocabulary",
    })),
  };
  const queries = planQueries(source, isLast ? input : null, dense, fields, salts);
  const streams = queries.map(({ sql }) => new RowStream(source.database, sql(isSorted), source.name, true));
  const threads = new BlockThreads({ layout, tables }, source.rows);
  const depth = Math.max(1, Math.min(threads.depth, Math.floor(MOST_BLOCK_BYTES / blockBytes(layout))));
  const free: RawBlock[] = [];
  const underWay: { block: RawBlock; encoded: Promise<void> }[] = [];
  try {
    for (let from = 0; from < source.rows || underWay.length > 0;) {
      if (from < source.rows && underWay.length < depth) {
        const block = free.pop() ?? createBlock(layout);
        block.size = Math.min(BLOCK_ROWS, source.rows - from);
        for (const list of block.lists) if (list !== null) list.count = 0;
        const filled = await Promise.allSettled(
          streams.map((stream, q) => stream.take(block.size, queries[q]!.targets(block))),
        );
        for (const fill of filled) if (fill.status === "rejected") throw fill.reason;
        makeRoom(layout, block);
        const encoded = threads.encode(block);
        // Awaited when its turn comes; a failure before then must not count as unhandled.
        encoded.catch(() => undefined);
        underWay.push({ block, encoded });
        from += block.size;
        continue;
      }
      const { block, encoded } = underWay.shift()!;
      await encoded;
      yield toBatch(layout, block);
      free.push(block);
    }
  } finally {
    await Promise.all(streams.map((stream) => stream.close()));
    await threads.close();
  }
}

/** Runs work that needs rows in order; when they come otherwise, once more with an ORDER BY. */
async function inOrder<T>(work: (isSorted: boolean) => Promise<T>): Promise<T> {
  try {
    return await work(false);
  } catch (error) {
    if (!(error instanceof RowsOutOfOrder)) throw error;
    return work(true);
  }
}

/** Encodes all rows for a pass that is not the last, into a data set of ids alone. */
async function waitingIds(
  input: EncodeInput,
  pass: readonly PassField[],
  directory: string,
): Promise<WaitingIds> {
  const layout = layoutOf({ dense: [], categorical: pass.map(({ table }) => input.categorical[table]!) });
  const set = await inOrder(async (isSorted) => {
    const writer = await EncodedDatasetWriter.create(directory, layout, { rowsPerGroup: BLOCK_ROWS });
    try {
      for await (const block of encodedBlocks(input, pass, false, isSorted)) await writer.append(block);
      return await writer.finish();
    } catch (error) {
      await writer.abort();
      throw error;
    }
  });
  return { set, tables: pass.map(({ table }) => table) };
}

/** Appends a block's rows, whose `rows` hold parts, to the writer of each part; `rows` become positions in the part. */
async function route(block: ClickBatch, writers: readonly EncodedDatasetWriter[]): Promise<void> {
  const members = writers.map(() => 0);
  const starts = writers.map((writer) => writer.rows);
  const parts = block.rows.slice();
  for (let i = 0; i < block.size; i++) {
    const part = parts[i]!;
    block.rows[i] = starts[part]! + members[part]!++;
  }
  for (const [part, count] of members.entries()) {
    if (count === block.size) await writers[part]!.append(block);
    else if (count > 0) {
      const selection = new Uint32Array(count);
      for (let i = 0, k = 0; i < block.size; i++) if (parts[i] === part) selection[k++] = i;
      await writers[part]!.append(block, selection);
    }
  }
}

/** The last pass: merges its blocks with the ids that wait, and writes the parts. */
async function writeParts(
  input: EncodeInput,
  pass: readonly PassField[],
  waiting: readonly WaitingIds[],
  directories: readonly string[],
  isSorted: boolean,
): Promise<EncodedDataset[]> {
  const layout = layoutOf(input);
  const tables = pass.map(({ table }) => table);
  const readers = waiting.map(({ set }) => set.batches({ batchSize: BLOCK_ROWS, recycle: 2 }));
  const writers: EncodedDatasetWriter[] = [];
  try {
    for (const directory of directories) writers.push(await EncodedDatasetWriter.create(directory, layout));
    let done = 0;
    for await (const block of encodedBlocks(input, pass, true, isSorted)) {
      input.source.database.signal?.throwIfAborted();
      if (readers.length > 0) {
        const pieces = [{ lookups: block.lookups, tables }];
        for (const [i, reader] of readers.entries()) {
          const step = await reader.next();
          invariant(!step.done && step.value.size === block.size, "all passes have all rows");
          pieces.push({ lookups: step.value.lookups, tables: waiting[i]!.tables });
        }
        block.lookups = mergeIds(block.size, layout, pieces);
      }
      await route(block, writers);
      done += block.size;
      input.onProgress?.(done, input.source.rows, "rows", "encode");
    }
    const sets: EncodedDataset[] = [];
    for (const writer of writers) sets.push(await writer.finish());
    return sets;
  } catch (error) {
    for (const writer of writers) await writer.abort();
    throw error;
  } finally {
    for (const reader of readers) await reader.return();
  }
}

/**
 * Encodes every row of a source.
 * @param directories the folder of each part's data set, by part number
 * @throws ParetoError DATA_READ, DATA_MEMORY, FILE_DISK_FULL
 */
export async function encodeRows(
  input: EncodeInput,
  directories: readonly string[],
): Promise<EncodedDataset[]> {
  const budget = input.tablesBytes ?? input.source.database.memoryLimitBytes * 0.4;
  const passes = planPasses(
    input.categorical.map(({ field }) => field),
    budget,
  );
  const last = passes.pop()!;
  const waiting: WaitingIds[] = [];
  for (const [i, pass] of passes.entries()) {
    waiting.push(await waitingIds(input, pass, join(input.tempDirectory, `pass${i}`)));
  }
  return inOrder((isSorted) => writeParts(input, last, waiting, directories, isSorted));
}
