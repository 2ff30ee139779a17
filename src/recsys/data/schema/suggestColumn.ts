/** @file What to do about a column that a source does not have. */
import { nearestName } from "../../../base/nearestName.ts";
import type { Source } from "../source/source.ts";
import { quoteName } from "../source/sqlText.ts";

/** How many names of columns an error lists. */
const MOST_NAMES = 40;

function listNames(names: readonly string[]): string {
  return names.slice(0, MOST_NAMES).join(", ") + (names.length > MOST_NAMES ? ", …" : "");
}

/** Of CSV, what names the columns of a file without a header; else "". */
function headerAdvice({ format }: Source, names: readonly string[]): string {
  if (format !== "csv" || names.every((name, i) => name === `c${i}`)) return "";
  return " If these are values and no names, say --csv header=no, which names the columns c0, c1, ….";
}

/** A `fix` for a column that an option names and a source lacks: the nearest name, and the list of names. */
export function suggestColumn(wanted: string, source: Source): string {
  const names = source.columns.map(({ name }) => name);
  const nearest = nearestName(wanted, names);
  const columns = listNames(names);
  const fix =
    nearest === null
      ? `Name one of the columns: ${columns}.`
      : `Did you mean "${nearest}"? The columns are: ${columns}.`;
  return fix + headerAdvice(source, names);
}

/** A `fix` for a column that a trained model needs and a source lacks: a query that renames the nearest one. */
export function suggestRename(wanted: string, source: Source): string {
  const names = source.columns.map(({ name }) => name);
  const from = nearestName(wanted, names) ?? "NAME";
  const query = `SELECT * RENAME (${quoteName(from)} AS ${quoteName(wanted)}) FROM source`;
  return `If another column holds it, rename that one with a query: --sql '${query}'. The columns are: ${listNames(names)}.`;
}
