/**
 * @file The label of a click log: 0 or 1, also as booleans or as the words yes/no, true/false, y/n, t/f.
 */
import { ParetoError } from "../../../base/errors.ts";
import { columnKind } from "./columnTypes.ts";
import { suggestColumn } from "./suggestColumn.ts";
import type { Source, SourceColumn } from "../source/source.ts";
import { quoteName } from "../source/sqlText.ts";

/** 0 or 1 as a FLOAT, NULL where the value is neither. */
export function labelSql(column: SourceColumn): string {
  const kind = columnKind(column.type);
  if (kind === "integer" || kind === "real") {
    return `CASE WHEN ${column.sql} = 0 THEN 0::FLOAT WHEN ${column.sql} = 1 THEN 1::FLOAT END`;
  }
  const text = `lower(trim(CAST(${column.sql} AS VARCHAR)))`;
  return (
    `CASE WHEN ${text} IN ('0', 'false', 'no', 'n', 'f', '0.0') THEN 0::FLOAT ` +
    `WHEN ${text} IN ('1', 'true', 'yes', 'y', 't', '1.0') THEN 1::FLOAT END`
  );
}

/** The label column of this name. @throws ParetoError DATA_LABEL_ABSENT, with the nearest name */
export function findLabel(source: Source, name: string): SourceColumn {
  const column = source.column(name);
  if (column !== null) return column;
  throw new ParetoError({
    code: "DATA_LABEL_ABSENT",
    where: source.name,
    message: `there is no label column of this name, got "${name}"`,
    fix: suggestColumn(name, source),
  });
}

/** What to do about labels that are neither 0 nor 1: a query that leaves them out where they are missing, or maps them. */
function labelFix({ name, type }: SourceColumn, value: string | null): string {
  const quoted = quoteName(name);
  if (value === null) {
    return `Leave these rows out with a query: --sql 'SELECT * FROM source WHERE ${quoted} IS NOT NULL'.`;
  }
  // In dollars, a text needs no quotes, which the shell would take for its own.
  const click = columnKind(type) === "text" ? "$$VALUE$$" : "1";
  return `Say with a query which value is a click: --sql 'SELECT * REPLACE ((${quoted} = ${click})::INT AS ${quoted}) FROM source'.`;
}

/**
 * Checks every value of the label.
 * @returns the counts of 0 and 1, and a notice when words were read as numbers
 * @throws ParetoError DATA_LABEL_VALUE (first offending value and row), DATA_COLUMN_NULL, DATA_LABEL_ONE_CLASS
 */
export async function checkLabel(
  source: Source,
  column: SourceColumn,
): Promise<{ counts: [number, number]; notice: string | null }> {
  const label = labelSql(column);
  const [found] = await source.database.rows<{
    zeros: number;
    ones: number;
    present: number;
    bad: number;
    first: number | null;
  }>(
    `SELECT count_if(label = 0) AS zeros, count_if(label = 1) AS ones, count(value) AS present, ` +
      `count_if(label IS NULL) AS bad, min(row) FILTER (label IS NULL) AS first ` +
      `FROM (SELECT ${label} AS label, ${column.sql} AS value, row FROM data)`,
    source.name,
  );
  const { zeros, ones, present, bad, first } = found!;
  const where = `${source.name}, column "${column.name}"`;
  if (present === 0) {
    throw new ParetoError({
      code: "DATA_COLUMN_NULL",
      where,
      message: `the label is missing in every row, got column "${column.name}"`,
      fix: "Name another column as the label.",
    });
  }
  if (bad > 0) {
    const [row] = await source.database.rows<{ value: string | null }>(
      `SELECT CAST(${column.sql} AS VARCHAR) AS value FROM data WHERE row = ${first}`,
      source.name,
    );
    const value = row!.value === null ? "missing" : `"${row!.value}"`;
    throw new ParetoError({
      code: "DATA_LABEL_VALUE",
      where: `${where}, row ${first! + 1}`,
      message: `labels must be 0 or 1; ${bad} row${bad === 1 ? " is" : "s are"} not, the first of them row ${first! + 1}, got ${value}`,
      fix: labelFix(column, row!.value),
    });
  }
  if (zeros === 0 || ones === 0) {
    throw new ParetoError({
      code: "DATA_LABEL_ONE_CLASS",
      where,
      message: `the label has only one class, so there is nothing to learn, got ${zeros} zeros and ${ones} ones`,
      fix: "Give data that holds both clicks and non-clicks, or name another column as the label.",
    });
  }
  const kind = columnKind(column.type);
  const words = kind === "boolean" || kind === "text";
  return {
    counts: [zeros, ones],
    notice: words ? `The words of label "${column.name}" (${column.type}) are read as 0 and 1.` : null,
  };
}
