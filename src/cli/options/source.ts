/** @file The options that say what data to read and what its columns are; several commands share them. */
import type { Command } from "commander";
import type { PrepareOptions } from "../../recsys/data/encode/prepareDataset.ts";
import type { SourceOptions } from "../../recsys/data/source/source.ts";
import { ParetoError } from "../../base/errors.ts";
import { withDefault } from "./compute.ts";
import { fractionList, nameList, oneOf, wholeNumber } from "./values.ts";

/** What `readOptions` adds to a command. */
export interface ReadFlags {
  sql?: string;
  format?: "parquet" | "csv" | "json" | "criteo";
  onBadRow: "error" | "skip";
}

/** What `columnOptions` adds to a command. */
export interface ColumnFlags {
  label?: string;
  dense?: string[];
  categorical?: string[];
  ignore?: string[];
  time?: string;
  split: "temporal" | "random";
  fractions: [number, number, number];
  minCount: number;
  hashBuckets?: number;
}

/** Options of how files are read. */
export function readOptions(command: Command): Command {
  return command
    .option(
      "--sql <query>",
      "a DuckDB query over the view `source` of the given files, or over files by name",
    )
    .option(
      "--format <name>",
      "parquet, csv, json or criteo; by default told from the files' endings",
      oneOf("--format", ["parquet", "csv", "json", "criteo"]),
    )
    .option(
      "--on-bad-row <what>",
      "CSV rows with too many or too few fields: error, or skip and count them",
      oneOf("--on-bad-row", ["error", "skip"]),
      "error",
    );
}

/** Options of what columns mean and how rows are split. */
export function columnOptions(command: Command): Command {
  return command
    .option("--label <column>", "the column to predict, 0 or 1 (criteo: label)")
    .option("--dense <columns>", "numeric inputs, between commas (default: told from types)", nameList)
    .option(
      "--categorical <columns>",
      "categorical inputs, between commas (default: told from types)",
      nameList,
    )
    .option("--ignore <columns>", "columns to leave out, between commas", nameList)
    .option("--time <column>", "the column that orders rows in time (default: the order of the files)")
    .option(
      "--split <how>",
      "temporal (train on the past, test on the future) or random",
      oneOf("--split", ["temporal", "random"]),
      "temporal",
    )
    .addOption(
      withDefault(
        "--fractions <a,b,c>",
        "shares of training, validation and test rows",
        fractionList("--fractions"),
        [70, 10, 20],
        "70,10,20",
      ),
    )
    .option(
      "--min-count <n>",
      "values seen fewer times in the training part are unknown",
      wholeNumber("--min-count", 1),
      1,
    )
    .option(
      "--hash-buckets <n>",
      "hash categorical values into this many rows a table instead of keeping vocabularies",
      wholeNumber("--hash-buckets", 2, 2 ** 31 - 1),
    );
}

/** The label's column. @throws ParetoError `CLI_LABEL` when it was not given and cannot be known */
export function labelOf(flags: ColumnFlags & ReadFlags): string {
  if (flags.label !== undefined) return flags.label;
  if (flags.format === "criteo") return "label";
  throw new ParetoError({
    code: "CLI_LABEL",
    where: "--label",
    message: "the column to predict must be named, got no --label",
    fix: "Say --label COLUMN; it holds 0 and 1.",
  });
}

/** How a source is opened. */
export function sourceOptions(paths: readonly string[], flags: ReadFlags): SourceOptions {
  return {
    paths,
    onBadRow: flags.onBadRow,
    ...(flags.sql !== undefined && { sql: flags.sql }),
    ...(flags.format !== undefined && { format: flags.format }),
  };
}

/** How a source becomes a data set. */
export function prepareOptions(flags: ColumnFlags, label: string, seed: number): PrepareOptions {
  return {
    label,
    split: { kind: flags.split, fractions: flags.fractions, seed },
    minCount: flags.minCount,
    ...(flags.dense && { dense: flags.dense }),
    ...(flags.categorical && { categorical: flags.categorical }),
    ...(flags.ignore && { ignore: flags.ignore }),
    ...(flags.time !== undefined && { time: flags.time }),
    ...(flags.hashBuckets !== undefined && { hashBuckets: flags.hashBuckets }),
  };
}
