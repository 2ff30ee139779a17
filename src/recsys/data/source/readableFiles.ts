/** @file The files of a source as DuckDB reads them exactly: unpacked, in UTF-8, with one kind of line end. */
import { createWriteStream } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { fileError } from "../../../base/fileErrors.ts";
import type { CsvOptions } from "./csvOptions.ts";
import { isRemote, type SourceFile } from "./sourceFiles.ts";
import { readableText } from "./textFile.ts";
import { unpack, type Packing } from "./unpack.ts";

/** Where the files of a source can be read. */
export interface ReadableFiles {
  /** A path for each file: its own, or that of a copy. */
  paths: string[];
  /** The files as the user names them. */
  names: string[];
  notices: string[];
}

/** How quotes and separators of a format stand, which matters to line ends within quotes. */
function quotesOf(format: SourceFile["format"], csv: CsvOptions): CsvOptions {
  if (format === "json") return { quote: '"', escape: "\\" };
  return format === "criteo" ? { quote: "", delim: "\t" } : csv;
}

async function unpacked(path: string, packing: Packing, copy: string, signal?: AbortSignal): Promise<string> {
  try {
    await pipeline(unpack(path, packing, signal), createWriteStream(copy));
    return copy;
  } catch (error) {
    signal?.throwIfAborted();
    throw fileError(error, copy);
  }
}

/**
 * Reads every file to its end where it is text or compressed, and copies what DuckDB would read otherwise.
 * @param directory for copies, removed by the caller
 * @throws ParetoError as `readableText` and `unpack`
 */
export async function readableFiles(
  files: readonly SourceFile[],
  directory: string,
  csv: CsvOptions,
  signal?: AbortSignal,
): Promise<ReadableFiles> {
  const paths: string[] = [];
  const notices: string[] = [];
  for (const [i, file] of files.entries()) {
    const { path, format, packing } = file;
    if (isRemote(path) || format === "duckdb" || format === "sqlite") paths.push(path);
    else if (format === "parquet") {
      const copy = join(directory, `${i}.parquet`);
      paths.push(packing === null ? path : await unpacked(path, packing, copy, signal));
    } else {
      const { encoding } = csv;
      const read = await readableText(path, file, {
        directory,
        name: `${i}`,
        csv: { ...quotesOf(format, csv), ...(encoding !== undefined && { encoding }) },
        ...(signal && { signal }),
      });
      paths.push(read.path);
      notices.push(...read.notices);
    }
  }
  return { paths, names: files.map(({ path }) => path), notices };
}
