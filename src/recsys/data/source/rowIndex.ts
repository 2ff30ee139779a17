/** @file Columns that only number the rows, as pandas writes its index: left out of what a model learns from. */
import type { Database } from "./duckdb.ts";

/** Why such a column has no role. */
export const ROW_INDEX = "numbers the rows, as the index that pandas writes";

/** Names that pandas gives an index, or that a CSV file has for it: none. */
const NAMES = /^(?:Unnamed: \d+(?:\.\d+)*|column0|__index_level_\d+__)$/;

/** Whether a column of `data` is a row index: named as one, whole numbers, counting up or all different. */
export async function isRowIndex(
  database: Database,
  { name, type, sql }: { name: string; type: string; sql: string },
  where: string,
): Promise<boolean> {
  if (!NAMES.test(name) || !/^U?(?:TINY|SMALL|BIG)?INT(?:EGER)?$/.test(type)) return false;
  const [found] = await database.rows<{ counts: boolean; differ: boolean }>(
    `SELECT bool_and(v = before + 1 OR v = 0) AS counts, count(DISTINCT v) = count(*) AND min(v) >= 0 AND count(v) = count(*) AS differ ` +
      `FROM (SELECT ${sql} AS v, coalesce(lag(${sql}) OVER (ORDER BY row), -1) AS before FROM data)`,
    where,
  );
  return found!.counts || found!.differ;
}
