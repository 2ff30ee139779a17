/** @file Dates by slashes, points or hyphens: in which order day, month and year stand, from all values of a column. */
import type { Database } from "../source/duckdb.ts";
import { presentSql, trimmedSql } from "./valueClass.ts";

/** Orders of day, month and year. */
const SHORT_DATES = [
  ["%Y", "%m", "%d"],
  ["%d", "%m", "%Y"],
  ["%m", "%d", "%Y"],
  ["%d", "%m", "%y"],
  ["%m", "%d", "%y"],
] as const;

/** Why a column of dates is text. */
export const AMBIGUOUS_DATES = "dates whose day and month cannot be told apart";

/**
 * The format for `strptime` that all values of a column have. Null: there is none. `ambiguous`: there are several.
 * @param text the column of the staged file `from`; it has a value
 */
export async function shortDateFormat(
  database: Database,
  text: string,
  from: string,
  where: string,
): Promise<string | null> {
  const present = `(SELECT * FROM (SELECT ${trimmedSql(text)} AS x FROM ${from}) WHERE ${presentSql("x")} IS NOT NULL)`;
  const [first] = await database.rows<{ value: string }>(`SELECT x AS value FROM ${present} LIMIT 1`, where);
  const sign = /[/.-]/.exec(first!.value)![0];
  const clock = /[ T]/.exec(first!.value);
  const seconds = (first!.value.match(/:/g) ?? []).length === 2;
  const time = clock === null ? "" : `${clock[0]}%H:%M${seconds ? ":%S" : ""}`;
  const formats = SHORT_DATES.map((parts) => parts.join(sign) + time);
  // To strptime, a year of four digits may have two.
  const patterns = SHORT_DATES.map((parts) => {
    const lengths = parts.map((part) =>
      part === "%Y" ? "[0-9]{4}" : part === "%y" ? "[0-9]{2}" : "[0-9]{1,2}",
    );
    return `${lengths.join(`[${sign}]`)}(?:[ T].*)?`;
  });
  const [found] = await database.rows<Record<string, number>>(
    `SELECT ${formats.map((format, i) => `count_if(try_strptime(x, '${format}') IS NULL OR NOT regexp_full_match(x, '${patterns[i]!}')) AS bad${i}`).join(", ")} ` +
      `FROM ${present}`,
    where,
  );
  const fit = formats.filter((_, i) => found![`bad${i}`] === 0);
  return fit.length > 1 ? "ambiguous" : (fit[0] ?? null);
}
