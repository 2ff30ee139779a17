/**
 * @file The first record of a CSV file: its delimiter and column names, read before DuckDB does because DuckDB renames
 * duplicate names silently and may take a bad row for a change of dialect.
 */
import { createReadStream } from "node:fs";
import type { Readable } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { ParetoError } from "../../../base/errors.ts";
import { fileError } from "../../../base/fileErrors.ts";

/** A CSV file's delimiter and names. */
export interface CsvHeader {
  delimiter: string;
  names: string[];
}

/** Bytes within which the first record must end. */
const LIMIT_BYTES = 4 * 2 ** 20;

/** The first line of a text file, unpacked when gzip or zstd, quoted line breaks kept. */
export async function readFirstRecord(path: string): Promise<string> {
  let stream: Readable = createReadStream(path);
  const file = stream;
  if (path.endsWith(".gz")) stream = stream.pipe(createGunzip());
  else if (path.endsWith(".zst")) stream = stream.pipe(createZstdDecompress());
  if (stream !== file) file.on("error", (error) => stream.destroy(error));
  const decoder = new TextDecoder();
  let text = "";
  try {
    for await (const chunk of stream) {
      text += decoder.decode(chunk as Uint8Array, { stream: true });
      const end = recordEnd(text);
      if (end >= 0 || text.length > LIMIT_BYTES) {
        text = end >= 0 ? text.slice(0, end) : text;
        break;
      }
    }
  } catch (error) {
    throw fileError(error, path);
  } finally {
    file.destroy();
  }
  return text.replace(/^\uFEFF/, "").replace(/\r$/, "");
}

function recordEnd(text: string): number {
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const letter = text[i];
    if (letter === '"') quoted = !quoted;
    else if (letter === "\n" && !quoted) return i;
  }
  return -1;
}

/** The fields of one record; `""` within quotes is a quote. */
function splitRecord(record: string, delimiter: string): string[] {
  const fields: string[] = [];
  let field = "";
  let quoted = false;
  for (let i = 0; i < record.length; i++) {
    const letter = record[i]!;
    if (letter === '"') {
      if (quoted && record[i + 1] === '"') {
        field += '"';
        i++;
      } else quoted = !quoted;
    } else if (letter === delimiter && !quoted) {
      fields.push(field);
      field = "";
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

/**
 * Reads the delimiter (the one of `,` tab `;` `|` that occurs most in the first line) and the names.
 * @throws ParetoError DATA_COLUMN_DUPLICATE, FILE_REFUSED
 */
export async function readCsvHeader(path: string): Promise<CsvHeader> {
  const record = await readFirstRecord(path);
  let delimiter = ",";
  let most = 1;
  for (const candidate of [",", "\t", ";", "|"]) {
    const count = splitRecord(record, candidate).length;
    if (count > most) {
      most = count;
      delimiter = candidate;
    }
  }
  const names = splitRecord(record, delimiter).map((name, i) => name.trim() || `column${i}`);
  refuseDuplicates(names, path);
  return { delimiter, names };
}
