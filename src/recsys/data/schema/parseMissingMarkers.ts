/**
 * @file Text columns of a CSV file that are numbers but for a few marks of absence (`NA`, `N/A`, `nan`, `none`, `?`, `-`)
 * become numeric, the marks missing. A column in which any other text occurs stays text: `NA` among country codes is
 * Namibia.
 */
import type { Database } from "../source/duckdb.ts";
import { quoteText } from "../source/sqlText.ts";

const MARKS = "('na', 'n/a', 'nan', 'none', '?', '-')";

/** Rewrites the view `data` over a staged CSV file. @returns a notice for each column changed */
export async function parseMissingMarkers(
  database: Database,
  path: string,
  names: readonly string[],
  textColumns: readonly string[],
): Promise<string[]> {
  const types = await database.rows<{ column_type: string }>("DESCRIBE data", path);
  const candidates = names
    .map((name, i) => ({ name, i }))
    .filter(({ name, i }) => types[i]!.column_type === "VARCHAR" && !textColumns.includes(name));
  if (candidates.length === 0) return [];
  const counts = candidates.map(({ i }) => {
    const mark = `lower(trim(c${i})) IN ${MARKS}`;
    return (
      `count_if(${mark}) AS marks${i}, count_if(NOT ${mark} AND TRY_CAST(c${i} AS DOUBLE) IS NULL) AS words${i}, ` +
      `count_if(NOT ${mark} AND TRY_CAST(c${i} AS BIGINT) IS DISTINCT FROM TRY_CAST(c${i} AS DOUBLE)) AS broken${i}, ` +
      `count_if(NOT ${mark}) AS others${i}`
    );
  });
  const [found] = await database.rows<Record<string, number>>(`SELECT ${counts.join(", ")} FROM data`, path);
  const notices: string[] = [];
  const list = names.map((_, i) => `c${i}`);
  for (const { name, i } of candidates) {
    const marks = found![`marks${i}`]!;
    if (marks === 0 || found![`words${i}`] !== 0 || found![`others${i}`] === 0) continue;
    const type = found![`broken${i}`] === 0 ? "BIGINT" : "DOUBLE";
    list[i] = `CASE WHEN lower(trim(c${i})) NOT IN ${MARKS} THEN TRY_CAST(c${i} AS ${type}) END AS c${i}`;
    notices.push(
      `Column "${name}" is numeric but for marks of absence such as NA (${marks}), read as missing.`,
    );
  }
  if (notices.length > 0) {
    await database.run(
      `CREATE OR REPLACE VIEW data AS SELECT ${list.join(", ")}, file_row_number AS row FROM read_parquet(${quoteText(path)})`,
      path,
    );
  }
  return notices;
}
