/**
 * @file Columns of vectors: lists of numbers of one length, such as pre-trained embeddings. Each element is a dense column
 * of its own, `name[0]`, `name[1]`, …; a missing vector is missing in all of them.
 *
 * Lists of floats and decimals are vectors unless they are named as categorical; lists of whole numbers are categories
 * unless they are named as dense.
 */
import { ParetoError } from "../../../base/errors.ts";
import type { Source, SourceColumn } from "../source/source.ts";
import { columnKind, elementType } from "./columnTypes.ts";

/** Whether a type is a list of numbers. */
export function isNumberList(type: string): boolean {
  const element = elementType(type);
  return element !== null && (columnKind(element) === "real" || columnKind(element) === "integer");
}

/** Whether a type is a list of floats or decimals. */
export function isVectorType(type: string): boolean {
  return isNumberList(type) && columnKind(elementType(type)!) === "real";
}

/** The elements of a vector as columns. */
export function vectorElements(column: SourceColumn, count: number): SourceColumn[] {
  const type = elementType(column.type)!;
  return Array.from({ length: count }, (_, i): SourceColumn => {
    const sql = `${column.sql}[${i + 1}]`;
    return { name: `${column.name}[${i}]`, type, sql, written: sql, form: null, reason: "" };
  });
}

/** The column of this name, or the element of a vector: `emb[3]`. Null when the source has neither. */
export function findNumberColumn(source: Source, name: string): SourceColumn | null {
  const column = source.column(name);
  if (column !== null) return column;
  const parts = elementOf(name);
  const vector = parts === null ? null : source.column(parts.vector);
  if (vector === null || !isNumberList(vector.type)) return null;
  return vectorElements(vector, parts!.index + 1)[parts!.index]!;
}

/** The vector and index that the name of an element says. */
function elementOf(name: string): { vector: string; index: number } | null {
  const found = /^(.*)\[(\d+)\]$/s.exec(name);
  return found === null ? null : { vector: found[1]!, index: Number(found[2]) };
}

/** The lengths of the vectors whose elements have these names, by vector, as far as the source has them as lists. */
export function vectorLengths(source: Source, names: readonly string[]): Map<SourceColumn, number> {
  const lengths = new Map<SourceColumn, number>();
  for (const name of names) {
    if (source.column(name) !== null) continue;
    const parts = elementOf(name);
    const vector = parts === null ? null : source.column(parts.vector);
    if (vector !== null) lengths.set(vector, Math.max(lengths.get(vector) ?? 0, parts!.index + 1));
  }
  return lengths;
}

/**
 * Checks that all vectors of a column have one length.
 * @param expected that length, where it is known
 * @returns the length, and how many elements are NaN or infinite
 * @throws ParetoError DATA_VECTOR_LENGTH, of the first that differs
 */
export async function checkVector(
  source: Source,
  column: SourceColumn,
  expected: number | null = null,
): Promise<{ length: number; nonFinite: number }> {
  const list = `CAST(${column.sql} AS ${elementType(column.type)!}[])`;
  const [first] = await source.database.rows<{ length: number | null }>(
    `SELECT arg_min(len(${list}), row) AS length FROM data WHERE ${column.sql} IS NOT NULL`,
    source.name,
  );
  const length = expected ?? first!.length ?? 0;
  const [other] = await source.database.rows<{ row: number; length: number }>(
    `SELECT row, len(${list}) AS length FROM data WHERE len(${list}) <> ${length} ORDER BY row LIMIT 1`,
    source.name,
  );
  if (other !== undefined) {
    throw new ParetoError({
      code: "DATA_VECTOR_LENGTH",
      where: `${source.name}, column "${column.name}", row ${other.row + 1}`,
      message: `vectors must have one length, ${length} ${expected === null ? `as in the first row that has one` : "as in training"}; the one of row ${other.row + 1} differs, got ${other.length}`,
      fix:
        expected === null
          ? "Correct the vectors, or leave the column out with --ignore; lists of categories are named with --categorical."
          : "Give the vectors that the model was trained with, or leave these rows out with a query.",
    });
  }
  const [odd] = await source.database.rows<{ count: number }>(
    `SELECT count_if(NOT isfinite(CAST(v AS DOUBLE))) AS count FROM (SELECT unnest(${list}) AS v FROM data)`,
    source.name,
  );
  return { length, nonFinite: odd!.count };
}
