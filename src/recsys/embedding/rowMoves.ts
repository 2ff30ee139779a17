/**
 * @file Moving listed rows between the tables and another memory: which pieces a list is cut into, so that threads share the
 * work. Every move of rows between two memories goes through here, and is a `moveRows` task.
 */
import {
  type Arena,
  type KernelTask,
  moveRowsArguments,
  type RowMove,
} from "../../engine/targets/cpu/index.ts";
import type { RowFormat } from "./rowFormat.ts";
import type { TablePart } from "./rowTransfer.ts";

/** A list of rows of one table. */
export interface RowList {
  parts: readonly TablePart[];
  /** First entry of the list, and how many. */
  first: number;
  count: number;
}

/** A piece of a list, in one column of one part of the table. */
export interface MovePiece {
  part: TablePart;
  /** Number of the column, and the 32-bit words of a row in it. */
  column: number;
  words: number;
  /** First entry of the piece, and how many. */
  at: number;
  count: number;
}

/** What a piece's move needs beside the rows of its part. */
export type PieceMove = Omit<RowMove, "farBase" | "count" | "low" | "high" | "words">;

/**
 * The tasks that move lists of rows.
 * @param arena the near memory, which holds the lists
 * @param pieceRows most entries of a piece
 * @param columns how many columns of the format move; all of them by default
 * @param move of the piece of task `index`. A table in several parts has as many pieces of the same entries, each of which
 * takes the rows of its part
 */
export function moveTasks(
  arena: Arena,
  format: RowFormat,
  lists: Iterable<RowList>,
  pieceRows: number,
  move: (piece: MovePiece, index: number) => PieceMove,
  columns = format.columns.length,
): KernelTask[] {
  const tasks: KernelTask[] = [];
  for (const { parts, first, count } of lists) {
    for (let at = first; at < first + count; at += pieceRows) {
      const length = Math.min(pieceRows, first + count - at);
      for (let column = 0; column < columns; column++) {
        const words = format.columns[column]!.stride;
        for (const part of parts) {
          const given = move({ part, column, words, at, count: length }, tasks.length);
          const rows = {
            farBase: part.columns[column]!,
            low: part.firstRow,
            high: part.firstRow + part.rows,
          };
          const args = moveRowsArguments({ ...given, ...rows, count: length, words });
          tasks.push({ kernel: "moveRows", arena, other: part.arena, arguments: args });
        }
      }
    }
  }
  return tasks;
}
