/** @file The options that say which click log to read and what its columns are; several commands share them. */
import { z } from "zod";
import { ParetoError } from "../../base/errors.ts";
import { decimal, listOf, wholeNumber } from "../../base/optionSchemas.ts";
import type { PrepareOptions } from "../../recsys/data/encode/prepareDataset.ts";
import type { SourceOptions } from "../../recsys/data/source/source.ts";
import { csvText } from "./csv.ts";
import { inGroup, listWords, operand, option, pathList, text, words, type Values } from "./spec.ts";

const FORMATS = { parquet: "", csv: "", json: "", criteo: "the Criteo logs' TSV" } as const;
const BAD_ROWS = { error: "stop", skip: "leave them out and count them" } as const;
const SPLITS = { temporal: "train on the past, test on the future", random: "" } as const;

/** A click log, as an operand. */
export const sourceOperand = operand("source", pathList, {
  meaning:
    "Files, folders or globs of Parquet, CSV or JSON, or a DuckDB database; may be left out with --sql or --resume",
  rest: true,
  defaultText: "none",
});

/** How files are read. */
export const readOptions = inGroup("Reading the log:", {
  sql: option("query", text, {
    meaning:
      "DuckDB query over the view `source` of the given files, over the tables of a given database, or over files by name",
    defaultText: "all rows and columns",
  }),
  format: option("name", words(FORMATS), {
    meaning: `Format of the files: ${listWords(FORMATS)}`,
    defaultText: "what their bytes and names say",
  }),
  csv: option("key=value,...", csvText, {
    meaning:
      "How CSV files are written, e.g. delim=;,decimal=,,header=no: delim, quote, escape, decimal, thousands, header, encoding, skip",
    defaultText: "what the files show",
  }),
  onBadRow: option("what", words(BAD_ROWS), {
    meaning: `What to do about CSV rows with too many or too few fields: ${listWords(BAD_ROWS)}`,
    default: "error",
  }),
});

/** Three positive shares. */
const fractions = listOf(decimal({ above: 0 })).pipe(
  z.tuple(
    [z.number(), z.number(), z.number()],
    "expected three positive numbers, of training, validation and test rows",
  ),
);

/** What columns mean and how rows are split. */
export const columnOptions = inGroup("Columns and split:", {
  label: option("column", text, {
    meaning: "Column to predict, which holds 0 and 1",
    defaultText: "label with --format criteo; otherwise it must be given",
  }),
  dense: option("columns", listOf(text), {
    meaning: "Numeric inputs, between commas",
    defaultText: "what the columns' types suggest",
  }),
  categorical: option("columns", listOf(text), {
    meaning: "Categorical inputs, between commas",
    defaultText: "what the columns' types suggest",
  }),
  ignore: option("columns", listOf(text), {
    meaning: "Columns to leave out, between commas",
    defaultText: "none",
  }),
  time: option("column", text, {
    meaning: "Column that orders rows in time",
    defaultText: "the order of the files",
  }),
  split: option("how", words(SPLITS), {
    meaning: `How rows are divided into training, validation and test: ${listWords(SPLITS)}`,
    default: "temporal",
  }),
  fractions: option("a,b,c", fractions, {
    meaning: "Shares of training, validation and test rows; they need not add up to 100",
    default: [70, 10, 20],
  }),
  minCount: option("n", wholeNumber({ min: 1 }), {
    meaning: "Fewest occurrences in the training rows of a categorical value that is not treated as unknown",
    default: 1,
  }),
  hashBuckets: option("n", wholeNumber({ min: 2, max: 2 ** 31 - 1 }), {
    meaning: "Rows of each embedding table into which categorical values are hashed",
    defaultText: "a vocabulary for each table",
  }),
});

/** Values of {@link readOptions}. */
export type ReadValues = Values<typeof readOptions>;
/** Values of {@link columnOptions}. */
export type ColumnValues = Values<typeof columnOptions>;

/** The label's column. @throws ParetoError `CLI_LABEL` when it was not given and cannot be known */
export function labelOf({ label, format }: ColumnValues & ReadValues): string {
  if (label !== undefined) return label;
  if (format === "criteo") return "label";
  throw new ParetoError({
    code: "CLI_LABEL",
    where: "--label",
    message: "the column to predict must be named, got no --label",
    fix: "Give --label COLUMN; it holds 0 and 1.",
  });
}

/** How a source is opened. */
export function sourceOptions(
  paths: readonly string[],
  { sql, format, csv, onBadRow }: ReadValues,
): SourceOptions {
  return {
    paths,
    onBadRow,
    ...(sql !== undefined && { sql }),
    ...(format !== undefined && { format }),
    ...(csv !== undefined && { csv }),
  };
}

/** How a source becomes a data set. */
export function prepareOptions(values: ColumnValues, label: string, seed: number): PrepareOptions {
  const { split, fractions, minCount, dense, categorical, ignore, time, hashBuckets } = values;
  return {
    label,
    split: { kind: split, fractions, seed },
    minCount,
    ...(dense && { dense }),
    ...(categorical && { categorical }),
    ...(ignore && { ignore }),
    ...(time !== undefined && { time }),
    ...(hashBuckets !== undefined && { hashBuckets }),
  };
}
