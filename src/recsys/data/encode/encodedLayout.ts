/**
 * @file The shape of an encoded data set on disk, shared by its writer and its reader.
 *
 * A data set is a folder: `rows.bin` holds row groups one after another, `layout.json` (written last, by a rename, so its
 * presence marks a complete set) says where each group lies. A group of n rows is, in the machine's byte order:
 * rows f64[n] · labels f32[n] · dense f32[n·D], row-major · bag starts i32[T·n + 1] when multi-hot · ids i32[…],
 * table-major; then padding to 8 bytes. All but the last group have `rowsPerGroup` rows, a power of two.
 */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { endianness } from "node:os";
import { z } from "zod";
import { ParetoError } from "../../../base/errors.ts";
import { fileError } from "../../../base/fileErrors.ts";
import { readJsonIfExists, unusableJson, type JsonFormat } from "../../../base/jsonFile.ts";

/** What the arrays of a data set hold. */
export interface EncodedLayout {
  /** Numeric inputs of a row. */
  dense: number;
  /** Categorical inputs of a row, each with its table. */
  tables: number;
  /** Rows of each table: every id of table t is in [0, cardinalities[t]). */
  cardinalities: number[];
  /** Whether bags may hold other than one id. */
  multiHot: boolean;
}

/** Where a group lies in `rows.bin`. */
export interface GroupEntry {
  /** Byte offset. */
  offset: number;
  rows: number;
  /** Ids over all its tables. */
  ids: number;
}

/** `layout.json`. */
export interface EncodedIndex {
  version: 1;
  endianness: "LE" | "BE";
  layout: EncodedLayout;
  rows: number;
  /** Labels that are 0, labels that are 1. */
  labelCounts: [number, number];
  /** Most ids over all tables of one row. */
  maxIdsPerRow: number;
  rowsPerGroup: number;
  groups: GroupEntry[];
}

const count = z.int().min(0);

const indexFormat: JsonFormat<EncodedIndex> = {
  noun: "encoded data set",
  schema: z.object({
    version: z.literal(1),
    endianness: z.enum(["LE", "BE"]),
    layout: z.object({
      dense: count,
      tables: count,
      cardinalities: z.array(count),
      multiHot: z.boolean(),
    }),
    rows: count,
    labelCounts: z.tuple([count, count]),
    maxIdsPerRow: count,
    rowsPerGroup: count,
    groups: z.array(z.object({ offset: count, rows: count, ids: count })),
  }),
  newest: { version: 1 },
  codes: { damaged: "DATA_ENCODED_DAMAGED", version: "DATA_ENCODED_VERSION" },
  fix: "Delete the folder and prepare the data again.",
};

/** Where the arrays of a group start, in elements of their own kind counted from the group's first byte. */
export interface GroupPlaces {
  labels: number;
  dense: number;
  /** −1 when not multi-hot. */
  bags: number;
  ids: number;
  sizeBytes: number;
}

/** The places of a group's arrays; `rows` is at 0. */
export function groupPlaces(layout: EncodedLayout, rows: number, ids: number): GroupPlaces {
  const labels = rows * 2;
  const dense = labels + rows;
  const bags = dense + rows * layout.dense;
  const start = layout.multiHot ? bags + layout.tables * rows + 1 : bags;
  return {
    labels,
    dense,
    bags: layout.multiHot ? bags : -1,
    ids: start,
    sizeBytes: Math.ceil((start + ids) / 2) * 8,
  };
}

/**
 * Reads `layout.json`; null when the folder holds no complete data set.
 * @throws ParetoError DATA_ENCODED_DAMAGED, DATA_ENCODED_VERSION, FILE_REFUSED
 */
export async function readEncodedIndex(directory: string): Promise<EncodedIndex | null> {
  const path = join(directory, "layout.json");
  const index = await readJsonIfExists(indexFormat, path);
  if (index === null) return null;
  if (index.endianness !== endianness()) {
    throw new ParetoError({
      code: "DATA_ENCODED_VERSION",
      where: path,
      message: `an encoded data set is read on machines of its own byte order, ${endianness()} here, got ${index.endianness}`,
      fix: "Delete the folder and prepare the data again.",
    });
  }
  await requireSizes(directory, index);
  return index;
}

/** Checks what the index claims against itself and the file of rows, before memory is taken for it. */
async function requireSizes(directory: string, index: EncodedIndex): Promise<void> {
  const { layout, rows, labelCounts, maxIdsPerRow, rowsPerGroup, groups } = index;
  const path = join(directory, "layout.json");
  const wrong = (key: string, wanted: unknown, received: unknown) =>
    unusableJson(indexFormat, path, `layout.json should have ${key} ${String(wanted)}`, received);
  if (layout.cardinalities.length !== layout.tables)
    throw wrong("layout.tables", layout.cardinalities.length, layout.tables);
  const groupRows = groups.reduce((sum, group) => sum + group.rows, 0);
  if (groupRows !== rows) throw wrong("rows", groupRows, rows);
  const [zeros, ones] = labelCounts;
  if (zeros + ones !== rows) throw wrong("labelCounts that add up to", rows, zeros + ones);
  const longest = groups.findIndex((group, g) =>
    g < groups.length - 1 ? group.rows !== rowsPerGroup : group.rows > rowsPerGroup,
  );
  if (longest >= 0) throw wrong(`groups[${longest}].rows`, rowsPerGroup, groups[longest]!.rows);
  const mostIds = layout.multiHot ? groups.reduce((most, { ids }) => Math.max(most, ids), 0) : layout.tables;
  if (maxIdsPerRow > mostIds) throw wrong("maxIdsPerRow of at most", mostIds, maxIdsPerRow);
  let end = 0;
  for (const [g, group] of groups.entries()) {
    if (!layout.multiHot && group.ids !== layout.tables * group.rows)
      throw wrong(`groups[${g}].ids`, layout.tables * group.rows, group.ids);
    if (group.offset !== end) throw wrong(`groups[${g}].offset`, end, group.offset);
    end += groupPlaces(layout, group.rows, group.ids).sizeBytes;
  }
  const file = join(directory, "rows.bin");
  const { size } = await stat(file).catch((error: unknown) => {
    throw fileError(error, file);
  });
  if (size < end) throw unusableJson(indexFormat, file, `rows.bin should have ${end} bytes`, size);
}
