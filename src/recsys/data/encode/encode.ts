/**
 * @file Encodes the rows of a source into data sets, one for each part: DuckDB transforms numbers and joins vocabularies,
 * and the typed arrays of its result go to disk.
 *
 * Fields are encoded in groups, each by a query whose rows wait in a temporary data set; then the groups are read side by
 * side into the parts. Memory stays bounded whatever the cardinalities: the vocabularies that one query joins must fit in
 * a share of DuckDB's memory. Multi-hot fields always take a query of their own, which unnests the lists.
 */
import { join } from "node:path";
import { invariant } from "../../../base/errors.ts";
import type { ClickBatch, DenseField, Lookups } from "../batches/clickBatch.ts";
import { EncodedDatasetWriter } from "./encodedDatasetWriter.ts";
import type { EncodedDataset } from "./encodedDataset.ts";
import type { EncodedLayout } from "./encodedLayout.ts";
import { numberSql } from "../schema/columnTypes.ts";
import { denseSql } from "./denseStatistics.ts";
import { RowsOutOfOrder, streamBags, streamBlocks } from "../source/rowStream.ts";
import type { BlockShape } from "../source/rowStream.ts";
import type { Source, SourceColumn } from "../source/source.ts";
import { quoteText } from "../source/sqlText.ts";
import { fieldValueSql, hashSql } from "./vocabulary.ts";
import type { EncodedField } from "./vocabulary.ts";

/** Called as work advances: `done` of `total` units of a task. */
export type Progress = (done: number, total: number, unit: string, task: "vocabulary" | "encode") => void;

/** What to encode. */
export interface EncodeInput {
  source: Source;
  /** What to read FROM, of these columns, to have `partSql` and `labelSql`. */
  from: (columns: readonly SourceColumn[]) => string;
  /** UTINYINT: the part of a row. */
  partSql: string;
  /** FLOAT: the label, never NULL. */
  labelSql: string;
  dense: { column: SourceColumn; field: DenseField }[];
  categorical: { column: SourceColumn; field: EncodedField; path: string }[];
  /** Folder for waiting ids, removed by the caller. */
  tempDirectory: string;
  /** Bytes of vocabularies that one query may join (default two fifths of DuckDB's memory, shared by the queries that run at once). */
  joinBytes?: number;
  /** Bytes of rows that may wait in memory for their turn (default 24 MiB a query); more wait in a file. */
  waitingBytes?: number;
  onProgress?: Progress;
}

type CategoricalInput = EncodeInput["categorical"][number] & { table: number };

const BLOCK_ROWS = 8192;

/**
 * Vocabularies that one query joins. A row that lacks a match leaves DuckDB's join in another chunk than one that has it,
 * so long chains of joins work on ever smaller chunks: 26 joins in one query take twice as long as in groups of five.
 */
const GROUP_FIELDS = 5;

/** Dense columns that one query computes: DuckDB plans wide queries in more than linear time. */
const GROUP_DENSE = 128;

/** Queries that run at once. */
const STREAMS = 6;

/** Bytes of rows that came before their turn and wait in memory. */
const WAITING_BYTES = 24 * 2 ** 20;

/** The layout of the data sets that come of it. */
function layoutOf(input: Pick<EncodeInput, "dense" | "categorical">): EncodedLayout {
  return {
    dense: input.dense.length,
    tables: input.categorical.length,
    cardinalities: input.categorical.map(({ field }) => field.cardinality),
    multiHot: input.categorical.some(({ field }) => field.multiHot),
  };
}

/** What one query encodes. */
interface Group {
  dense: EncodeInput["dense"];
  fields: CategoricalInput[];
}

/** Columns in groups: one-hot fields whose vocabularies fit together, dense columns, and each multi-hot field by itself. */
function planGroups(
  dense: EncodeInput["dense"],
  fields: readonly CategoricalInput[],
  budget: number,
): Group[] {
  const groups: Group[] = [{ dense: dense.slice(0, GROUP_DENSE), fields: [] }];
  let bytes = 0;
  for (const field of fields) {
    if (field.field.multiHot) continue;
    const last = groups.at(-1)!.fields;
    const full = last.length >= GROUP_FIELDS || bytes + field.field.joinBytes > budget;
    if (full && last.length > 0) {
      groups.push({ dense: [], fields: [] });
      bytes = 0;
    }
    groups.at(-1)!.fields.push(field);
    bytes += field.field.joinBytes;
  }
  for (let at = GROUP_DENSE; at < dense.length; at += GROUP_DENSE) {
    groups.push({ dense: dense.slice(at, at + GROUP_DENSE), fields: [] });
  }
  for (const field of fields) if (field.field.multiHot) groups.push({ dense: [], fields: [field] });
  return groups;
}

/** SQL of a field's id, and the join it needs. */
function idSql(
  { field, path }: CategoricalInput,
  value: string,
  alias: string,
): { id: string; join: string } {
  if (field.encoding === "hash") return { id: hashSql(value, field.cardinality), join: "" };
  return {
    id: `CAST(coalesce(${alias}.id, 0) AS INTEGER)`,
    join: ` LEFT JOIN read_parquet(${quoteText(path)}) AS ${alias} ON ${value} = ${alias}.value`,
  };
}

/** @param first whether the parts and labels of the rows come along */
function groupSql(
  input: EncodeInput,
  { dense, fields: group }: Group,
  first: boolean,
  sorted: boolean,
): string {
  const inner = [
    "row",
    `${first ? input.partSql : "0::UTINYINT"} AS part`,
    `${first ? input.labelSql : "0::FLOAT"} AS label`,
    ...dense.map(({ column }, i) => `${numberSql(column)} AS n${i}`),
    ...group.map(({ column, field }, i) => `${fieldValueSql(column, field)} AS v${i}`),
  ];
  const columns = [...dense, ...group].map(({ column }) => column);
  const from = first ? input.from(columns) : input.source.from(columns);
  const ids = group.map((field, i) => idSql(field, `s.v${i}`, `w${i}`));
  const outer = [
    "CAST(s.row AS DOUBLE)",
    "s.part",
    "s.label",
    ...dense.map(({ field }, i) => denseSql(`s.n${i}`, field)),
    ...ids.map(({ id }) => id),
  ];
  return (
    `SELECT ${outer.join(", ")} FROM (SELECT ${inner.join(", ")} FROM ${from}) AS s` +
    `${ids.map((id) => id.join).join("")}${sorted ? " ORDER BY s.row" : ""}`
  );
}

/** Always sorted: the elements of a list must keep their order too, so that sums over them repeat to the bit. */
function bagSql(field: CategoricalInput): string {
  // A missing list counts as one missing value; an empty list is an empty bag.
  const list = `coalesce(${field.column.sql}, [NULL])`;
  const unnested = `SELECT row, unnest(${list}) AS v, generate_subscripts(${list}, 1) AS place FROM data`;
  const value = fieldValueSql(field.column, field.field);
  const { id, join: joined } = idSql(field, "s.value", "w");
  return (
    `SELECT CAST(s.row AS DOUBLE), ${id} FROM (SELECT row, place, ${value} AS value FROM (${unnested})) AS s` +
    `${joined} ORDER BY s.row, s.place`
  );
}

/** Runs work that needs rows in order; when they come otherwise, once more with an ORDER BY. */
async function inOrder<T>(work: (sorted: boolean) => Promise<T>): Promise<T> {
  try {
    return await work(false);
  } catch (error) {
    if (!(error instanceof RowsOutOfOrder)) throw error;
    return work(true);
  }
}

/** Writes all batches to one data set. */
async function writeAll(
  directory: string,
  layout: EncodedLayout,
  batches: AsyncIterable<ClickBatch>,
): Promise<EncodedDataset> {
  const writer = await EncodedDatasetWriter.create(directory, layout, { rowsPerGroup: BLOCK_ROWS });
  try {
    for await (const batch of batches) await writer.append(batch);
    return await writer.finish();
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

/** Inputs that wait in a temporary data set. */
interface Waiting {
  set: EncodedDataset;
  /** How many dense columns it has; groups have them in their order. */
  dense: number;
  tables: number[];
}

/** @param first whether labels come along, and the parts, as `rows` */
async function encodeGroup(input: EncodeInput, group: Group, first: boolean, name: string): Promise<Waiting> {
  const { source } = input;
  const layout = layoutOf({ dense: group.dense, categorical: group.fields });
  const shape: BlockShape = {
    dense: layout.dense,
    tables: layout.tables,
    blockRows: BLOCK_ROWS,
    rows: source.rows,
    reorder: {
      limitBytes: input.waitingBytes ?? WAITING_BYTES,
      path: join(input.tempDirectory, `${name}.waiting`),
    },
  };
  const set = await inOrder((sorted) =>
    writeAll(
      join(input.tempDirectory, name),
      layout,
      layout.multiHot
        ? streamBags(source.database, bagSql(group.fields[0]!), source.name, source.rows, BLOCK_ROWS)
        : streamBlocks(source.database, groupSql(input, group, first, sorted), source.name, shape),
    ),
  );
  return { set, dense: layout.dense, tables: group.fields.map(({ table }) => table) };
}

/** The dense inputs of a block, row by row, put together from groups of columns. */
function mergeDense(size: number, pieces: { values: Float32Array; columns: number }[]): Float32Array {
  const width = pieces.reduce((sum, { columns }) => sum + columns, 0);
  const merged = new Float32Array(size * width);
  let from = 0;
  for (const { values, columns } of pieces) {
    for (let row = 0; row < size; row++) {
      merged.set(values.subarray(row * columns, (row + 1) * columns), row * width + from);
    }
    from += columns;
  }
  return merged;
}

/** The lookups of a block, put together from those of the main query and those that waited. */
function mergeLookups(
  size: number,
  layout: EncodedLayout,
  pieces: { lookups: Lookups; tables: number[] }[],
): Lookups {
  const source = new Map<number, { lookups: Lookups; local: number }>();
  for (const { lookups, tables } of pieces) {
    for (const [local, table] of tables.entries()) source.set(table, { lookups, local });
  }
  let total = 0;
  for (const { lookups } of pieces) total += lookups.ids.length;
  const ids = new Int32Array(total);
  const offsets = layout.multiHot ? new Int32Array(layout.tables * size + 1) : null;
  let next = 0;
  for (let t = 0; t < layout.tables; t++) {
    const { lookups, local } = source.get(t)!;
    const bag = local * size;
    const start = lookups.offsets === null ? bag : lookups.offsets[bag]!;
    const end = lookups.offsets === null ? bag + size : lookups.offsets[bag + size]!;
    ids.set(lookups.ids.subarray(start, end), next);
    if (offsets !== null) {
      for (let b = 0; b < size; b++) {
        offsets[t * size + b] = next + (lookups.offsets === null ? b : lookups.offsets[bag + b]! - start);
      }
    }
    next += end - start;
  }
  if (offsets !== null) offsets[layout.tables * size] = next;
  return { size, tables: layout.tables, ids, offsets };
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

/** Reads what waits side by side and writes the parts. The first of `waiting` has the labels and parts. */
async function assemble(
  input: EncodeInput,
  waiting: readonly Waiting[],
  directories: readonly string[],
): Promise<EncodedDataset[]> {
  const layout = layoutOf(input);
  const writers: EncodedDatasetWriter[] = [];
  const [first, ...others] = waiting.map(({ set }) => set.batches({ batchSize: BLOCK_ROWS, recycle: 2 }));
  try {
    for (const directory of directories) writers.push(await EncodedDatasetWriter.create(directory, layout));
    let done = 0;
    for await (const block of first!) {
      input.source.database.signal?.throwIfAborted();
      const pieces = [{ lookups: block.lookups, tables: waiting[0]!.tables }];
      const numbers = [{ values: block.dense, columns: waiting[0]!.dense }];
      for (const [i, reader] of others.entries()) {
        const step = await reader.next();
        invariant(!step.done && step.value.size === block.size, "all groups have all rows");
        pieces.push({ lookups: step.value.lookups, tables: waiting[i + 1]!.tables });
        if (waiting[i + 1]!.dense > 0) {
          numbers.push({ values: step.value.dense, columns: waiting[i + 1]!.dense });
        }
      }
      const dense = numbers.length === 1 ? block.dense : mergeDense(block.size, numbers);
      await route({ ...block, dense, lookups: mergeLookups(block.size, layout, pieces) }, writers);
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
    for (const reader of others) await reader.return();
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
  const budget = input.joinBytes ?? (input.source.database.memoryLimitBytes * 0.4) / STREAMS;
  const fields = input.categorical.map((field, table) => ({ ...field, table }));
  const groups = planGroups(input.dense, fields, budget);
  const waiting: Waiting[] = [];
  // DuckDB's streams leave threads idle, so some run beside each other.
  for (let i = 0; i < groups.length; i += STREAMS) {
    const started = groups
      .slice(i, i + STREAMS)
      .map((group, k) => encodeGroup(input, group, i + k === 0, `group${i + k}`));
    const ended = await Promise.allSettled(started);
    for (const end of ended) {
      if (end.status === "rejected") throw end.reason;
      waiting.push(end.value);
    }
  }
  return assemble(input, waiting, directories);
}
