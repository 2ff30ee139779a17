/**
 * @file The first record of a CSV file: its delimiter and column names, read before DuckDB does because DuckDB renames
 * duplicate names silently and may take a bad row for a change of dialect.
 */
import { open } from "node:fs/promises";
import { ParetoError } from "../../../base/errors.ts";
import { fileError } from "../../../base/fileErrors.ts";
import type { CsvOptions } from "./csvOptions.ts";

/** How the fields of a CSV file are separated and named. */
export interface CsvHeader {
  delimiter: string;
  quote: string;
  escape: string;
  names: string[];
  /** Whether the first line read holds the names. */
  hasNames: boolean;
  /** Lines before that one. */
  skip: number;
}

/** Bytes within which the first record must end. */
const LIMIT_BYTES = 4 * 2 ** 20;
/** Records that tell the delimiter. */
const SAMPLE_RECORDS = 50;

interface Quotes {
  quote: string;
  escape: string;
}

/** Up to so many bytes from the start of a file, as text without its byte order mark. */
async function readStart(path: string, sizeBytes: number): Promise<string> {
  try {
    const handle = await open(path, "r");
    try {
      const bytes = Buffer.alloc(sizeBytes);
      const { bytesRead } = await handle.read(bytes, 0, sizeBytes, 0);
      return new TextDecoder().decode(bytes.subarray(0, bytesRead), { stream: true });
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw fileError(error, path);
  }
}

/**
 * The first records of a plain text file, quoted line breaks kept, the last one only if it ends.
 * @param path a file in UTF-8, not compressed
 */
export async function readRecords(path: string, count: number, quotes: Quotes): Promise<string[]> {
  for (let sizeBytes = 1 << 16; ; sizeBytes = LIMIT_BYTES) {
    const text = await readStart(path, sizeBytes);
    const isAll = Buffer.byteLength(text) + 3 < sizeBytes;
    const records = recordsOf(text, count, quotes, isAll);
    if (records.length > 0 || isAll || sizeBytes === LIMIT_BYTES)
      return records.length > 0 ? records : [text];
  }
}

function recordsOf(text: string, count: number, { quote, escape }: Quotes, isAll: boolean): string[] {
  const records: string[] = [];
  let quoted = false;
  let start = 0;
  for (let i = 0; i < text.length && records.length < count; i++) {
    const letter = text[i]!;
    if (quoted && letter === escape && escape !== quote) i++;
    else if (letter === quote) quoted = !quoted;
    else if (letter === "\n" && !quoted) {
      records.push(text.slice(start, i).replace(/\r$/, ""));
      start = i + 1;
    }
  }
  if (isAll && start < text.length && records.length < count) records.push(text.slice(start));
  return records;
}

/** The fields of one record; a quote doubled within quotes is a quote. */
function splitRecord(record: string, delimiter: string, { quote, escape }: Quotes): string[] {
  const fields: string[] = [];
  let field = "";
  let quoted = false;
  for (let i = 0; i < record.length; i++) {
    const letter = record[i]!;
    if (quoted && letter === escape && (record[i + 1] === quote || record[i + 1] === escape)) {
      field += record[++i]!;
    } else if (quote !== "" && letter === quote) quoted = !quoted;
    else if (!quoted && record.startsWith(delimiter, i)) {
      fields.push(field);
      field = "";
      i += delimiter.length - 1;
    } else field += letter;
  }
  fields.push(field);
  return fields;
}

/** Refuses columns that share a name. @throws ParetoError DATA_COLUMN_DUPLICATE */
export function refuseDuplicates(names: readonly string[], where: string): void {
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) {
      throw new ParetoError({
        code: "DATA_COLUMN_DUPLICATE",
        where,
        message: `two columns share a name, got "${name}"`,
        fix: "Rename one of them; in a query, give each column a name of its own with AS.",
      });
    }
    seen.add(name);
  }
}

/** Refuses files whose columns differ from those of the first. @throws ParetoError DATA_COLUMNS_DIFFER */
export function refuseDifferent(first: readonly string[], other: readonly string[], where: string): void {
  const odd =
    first.find((name) => !other.includes(name)) ?? other.find((name) => !first.includes(name)) ?? null;
  if (odd === null) return;
  throw new ParetoError({
    code: "DATA_COLUMNS_DIFFER",
    where,
    message: `the files of a source must have the same columns, got "${odd}" in some of them only`,
    fix: "Bring the files to the same columns, or select the common ones with a query.",
  });
}

/** Refuses files whose columns come in another order. @throws ParetoError DATA_COLUMNS_DIFFER */
export function refuseReordered(first: readonly string[], other: readonly string[], where: string): void {
  const at = first.findIndex((name, i) => other[i] !== name);
  if (at < 0) return;
  throw new ParetoError({
    code: "DATA_COLUMNS_DIFFER",
    where,
    message: `the CSV files of a source must have their columns in one order; column ${at + 1} is "${first[at]!}", got "${other[at]!}"`,
    fix: "Bring the files to the same order, or convert them to Parquet, whose columns are matched by name.",
  });
}

/** Numbers with decimal commas, or with commas between groups of digits. */
const COMMA_NUMBER = /^[-+]?[\d.' ]*,\d+$/;

/**
 * The delimiter: that of comma, tab, semicolon and bar which cuts the first line into most fields. Semicolon, tab and bar
 * come first where they cut all lines alike and every comma left is in a number.
 */
function findDelimiter(records: readonly string[], quotes: Quotes): string {
  const fieldsOf = (delimiter: string) => records.map((record) => splitRecord(record, delimiter, quotes));
  let found = ",";
  let most = 1;
  for (const candidate of [",", "\t", ";", "|"]) {
    const count = splitRecord(records[0] ?? "", candidate, quotes).length;
    if (count > most) {
      most = count;
      found = candidate;
    }
  }
  if (found !== ",") return found;
  return (
    ["\t", ";", "|"].find((candidate) => {
      const rows = fieldsOf(candidate);
      const width = rows[0]?.length ?? 0;
      const commas = rows.flat().filter((field) => field.includes(","));
      const alike = width > 1 && rows.every((row) => row.length === width);
      return alike && commas.length > 0 && commas.every((field) => COMMA_NUMBER.test(field.trim()));
    }) ?? ","
  );
}

const NUMBER = /^[-+]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][-+]?\d+)?$/;
const DATE = /^\d{4}-\d\d-\d\d(?:[T ]|$)/;

/** Whether fields are values rather than names: fractions, dates, or numbers that are neither years nor a count. */
function looksLikeRow(fields: readonly string[]): boolean {
  const values = fields.map((field) => field.trim());
  if (values.some((value) => DATE.test(value) || (NUMBER.test(value) && !/^\d+$/.test(value)))) return true;
  const numbers = values.filter((value) => /^\d+$/.test(value)).map(Number);
  if (numbers.length === 0) return false;
  // Tables that are wide by year or position have such names.
  const isCount = numbers.every((value, i) => value === numbers[0]! + i) && numbers[0]! <= 1;
  const areYears = numbers.every((value) => value >= 1900 && value <= 2100);
  return !(numbers.length > 1 && (isCount || (areYears && new Set(numbers).size === numbers.length)));
}

/** @throws ParetoError DATA_CSV_HEADER */
function refuseRow(record: string, path: string): never {
  throw new ParetoError({
    code: "DATA_CSV_HEADER",
    where: path,
    message: `the first line must hold the columns' names and looks like a row, got ${record.slice(0, 100)}`,
    fix: "Say --csv header=no, which names the columns c0, c1, … (--label c0 and so on), or --csv header=yes if these are their names.",
  });
}

/**
 * Reads how fields are separated, and the columns' names.
 * @param path a file in UTF-8, not compressed
 * @param where the file as the user names it
 * @throws ParetoError DATA_COLUMN_DUPLICATE, DATA_CSV_HEADER, FILE_REFUSED
 */
export async function readCsvHeader(path: string, where: string, csv: CsvOptions): Promise<CsvHeader> {
  const quote = csv.quote ?? '"';
  const quotes = { quote, escape: csv.escape ?? quote };
  const lines = await readRecords(path, SAMPLE_RECORDS + (csv.skip ?? 0), quotes);
  let skip = csv.skip ?? 0;
  // Excel writes the delimiter into a line of its own.
  const said = csv.skip === undefined ? /^sep=(.)$/.exec(lines[0] ?? "")?.[1] : undefined;
  if (said !== undefined) skip++;
  while (skip < lines.length && lines[skip]!.trim() === "") skip++;
  const records = lines.slice(skip);
  const delimiter = csv.delim ?? said ?? findDelimiter(records, quotes);
  const first = splitRecord(records[0] ?? "", delimiter, quotes);
  if (csv.header === undefined && looksLikeRow(first)) refuseRow(records[0]!, where);
  const hasNames = csv.header ?? true;
  const names = hasNames ? first.map((name, i) => name.trim() || `column${i}`) : first.map((_, i) => `c${i}`);
  refuseDuplicates(names, where);
  return { delimiter, ...quotes, names, hasNames, skip };
}
