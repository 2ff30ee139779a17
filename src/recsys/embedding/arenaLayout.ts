/**
 * @file Which memory holds which rows. A WebAssembly memory ends at 4 GiB, so large tables spread over several.
 *
 * The *main* arena holds the staging buffers; kernels work there, and read and update the tables that lie in it in place.
 * Rows of tables that do not fit lie in *spill* arenas, and are fetched into the main one when a batch needs them. Small
 * tables go into the main arena first; a spilled table is cut into ranges of rows only when it alone exceeds an arena.
 */
import { alignedBytes } from "../../engine/targets/cpu/index.ts";
import type { RowFormat } from "./rowFormat.ts";

/** A range of a table's rows and the arena that it is in; 0 is the main one. */
interface PlannedPart {
  firstRow: number;
  rows: number;
  arena: number;
}

/** Where every table is, and how large each memory must be. */
export interface ArenaLayout {
  /** Parts of each table, by first row. */
  tables: PlannedPart[][];
  arenaBytes: number[];
}

/** Bytes that a range of `rows` takes: each column, and one byte a row that marks changes. */
export function partBytes(rows: number, format: RowFormat): number {
  let bytes = alignedBytes(rows);
  for (const column of format.columns) bytes += alignedBytes(rows * column.stride * 4);
  return bytes;
}

/**
 * Places tables.
 * @param cardinalities rows of each table
 * @param reservedBytes what the main arena needs for other things
 * @param capacityBytes of one arena; the main one exceeds it only if `reservedBytes` alone does
 */
export function planArenaLayout(
  cardinalities: readonly number[],
  format: RowFormat,
  reservedBytes: number,
  capacityBytes: number,
): ArenaLayout {
  const arenaBytes = [reservedBytes];
  const tables: PlannedPart[][] = cardinalities.map(() => []);
  const bySize = [...cardinalities.keys()].sort((a, b) => cardinalities[a]! - cardinalities[b]! || a - b);
  const spilled: number[] = [];
  for (const table of bySize) {
    const rows = cardinalities[table]!;
    const bytes = partBytes(rows, format);
    if (arenaBytes[0]! + bytes <= capacityBytes) {
      tables[table]!.push({ firstRow: 0, rows, arena: 0 });
      arenaBytes[0]! += bytes;
    } else {
      spilled.push(table);
    }
  }
  // Every array of a part may lose an alignment's worth; at least one row always fits a part.
  const slack = partBytes(1, format);
  const rowsInArena = Math.max(1, Math.floor((capacityBytes - slack) / (format.storedBytes + 1)));
  for (const table of spilled.reverse()) {
    for (let firstRow = 0; firstRow < cardinalities[table]!; firstRow += rowsInArena) {
      const rows = Math.min(rowsInArena, cardinalities[table]! - firstRow);
      const bytes = partBytes(rows, format);
      let arena = arenaBytes.findIndex((used, i) => i > 0 && used + bytes <= capacityBytes);
      if (arena < 0) arena = arenaBytes.push(0) - 1;
      arenaBytes[arena]! += bytes;
      tables[table]!.push({ firstRow, rows, arena });
    }
  }
  return { tables, arenaBytes };
}
