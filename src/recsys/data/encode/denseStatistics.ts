/**
 * @file The transform of each dense column, from the training part only.
 *
 * `log1p` (DLRM's Criteo pre-processing) for columns that look like counts: at most 1 % negative values and a largest
 * value above 10 times the mean; `standard` for the others. Elements of vectors are always `standard`,
 * Criteo's format always `log1p`; the user's word wins.
 * Mean and deviation are rounded to 7 digits, so that the order in which threads add cannot show in a run.
 */
import type { DenseField } from "../batches/clickBatch.ts";
import { numberSql } from "../schema/columnTypes.ts";
import { aggregateColumns } from "../schema/numericColumns.ts";
import type { Source, SourceColumn } from "../source/source.ts";
import type { Split } from "./split.ts";

/** The SQL of a dense input, a FLOAT that is never NULL, NaN or infinite. @param value the name of a column that holds {@link numberSql} */
export function denseSql(value: string, field: DenseField): string {
  if (field.transform === "log1p") return `CAST(coalesce(ln(greatest(${value}, 0) + 1), 0) AS FLOAT)`;
  const scaled = `(${value} - (${field.mean}::DOUBLE)) / ${field.deviation}::DOUBLE`;
  // A source seen later may hold values so far out that a float cannot carry them.
  return `CAST(CASE WHEN ${value} IS NULL THEN 0 ELSE least(greatest(${scaled}, -3e38), 3e38) END AS FLOAT)`;
}

/** Chooses transforms and measures mean and deviation over the training part. */
export async function measureDense(
  source: Source,
  split: Split,
  columns: readonly SourceColumn[],
  transforms: Readonly<Record<string, "log1p" | "standard">>,
): Promise<DenseField[]> {
  const found = await aggregateColumns(source, columns, {
    values: (column, i) => [`${numberSql(column)} AS v${i}`],
    of: (_, i) => [
      `count(v${i}) AS n${i}, avg(v${i}) AS mean${i}, stddev_pop(v${i}) AS deviation${i}`,
      `max(v${i}) AS max${i}, count_if(v${i} < 0) AS negative${i}`,
    ],
    from: (part) => `${split.from(part)} WHERE ${split.trainSql}`,
  });
  return columns.map((column, i) => {
    const number = (key: string): number => Number(found[`${key}${i}`] ?? 0);
    const count = number("n");
    const looksLikeCount =
      count > 0 && number("negative") <= count / 100 && number("max") > 10 * Math.abs(number("mean"));
    const isElement = source.column(column.name) === null;
    const usual = source.format === "criteo" || (looksLikeCount && !isElement) ? "log1p" : "standard";
    const transform = transforms[column.name] ?? usual;
    if (transform === "log1p") return { name: column.name, transform, mean: 0, deviation: 1 };
    const deviation = Number(number("deviation").toPrecision(7));
    return {
      name: column.name,
      transform,
      mean: Number(number("mean").toPrecision(7)),
      deviation: deviation > 0 ? deviation : 1,
    };
  });
}
