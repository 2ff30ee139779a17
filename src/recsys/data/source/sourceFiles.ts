/**
 * @file From paths and globs to files: they exist, are not empty, and are all of one format.
 *
 * Addresses with a scheme (`s3://…`, `https://…`) pass through to DuckDB unchecked.
 */
import { globSync } from "node:fs";
import { open, stat } from "node:fs/promises";
import { join } from "node:path";
import { ParetoError } from "../../../base/errors.ts";
import { fileError, missingFile } from "../../../base/fileErrors.ts";

/** What a source is read as. `criteo`: tab separated, no header, a label, I1…I13 and C1…C26. */
export type SourceFormat = "parquet" | "csv" | "json" | "criteo";

const FORMAT_OF_ENDING: Record<string, SourceFormat> = {
  parquet: "parquet",
  pq: "parquet",
  csv: "csv",
  tsv: "csv",
  json: "json",
  jsonl: "json",
  ndjson: "json",
};

/** Whether a path names a remote object. */
export function isRemote(path: string): boolean {
  return /^[a-z][a-z0-9+.-]+:\/\//i.test(path);
}

function isData(path: string): boolean {
  return endingFormat(path) !== null;
}

function endingFormat(path: string): SourceFormat | null {
  const ending =
    path
      .toLowerCase()
      .replace(/\.(gz|zst)$/, "")
      .split(".")
      .at(-1) ?? "";
  return FORMAT_OF_ENDING[ending] ?? null;
}

async function expand(path: string): Promise<string[]> {
  if (isRemote(path)) return [path];
  const found = await stat(path).catch(() => null);
  if (found?.isDirectory()) {
    const files = globSync(join(path, "*")).filter(isData).sort();
    if (files.length > 0) return files;
    throw missingFile(path, "the folder holds no Parquet, CSV or JSON file");
  }
  if (found !== null) return [path];
  if (!/[*?[{]/.test(path)) throw missingFile(path, "there is no such file");
  const files = globSync(path).sort();
  if (files.length > 0) return files;
  throw missingFile(path, "no file matches the pattern");
}

/** The format by a file's name or, failing that, by its first bytes. */
async function detectFormat(path: string): Promise<SourceFormat> {
  const byName = endingFormat(path);
  if (byName !== null || isRemote(path)) return byName ?? "parquet";
  const handle = await open(path, "r");
  const head = Buffer.alloc(4096);
  const { bytesRead } = await handle.read(head, 0, head.length, 0);
  await handle.close();
  const text = head.toString("latin1", 0, bytesRead);
  if (text.startsWith("PAR1")) return "parquet";
  if (text.startsWith("PK") || text.includes("\0")) {
    throw new ParetoError({
      code: "DATA_FORMAT_UNKNOWN",
      where: path,
      message: `the file is neither Parquet, CSV nor JSON, got one that begins with ${JSON.stringify(text.slice(0, 8))}`,
      fix: text.startsWith("PK") ? "Unpack the archive first." : "Convert it to Parquet or CSV first.",
    });
  }
  return /^\s*[[{]/.test(text) ? "json" : "csv";
}

/**
 * The files of a source, in the order given; a glob's and a folder's files by name.
 * @throws ParetoError FILE_MISSING, DATA_FILE_EMPTY, DATA_FORMAT_UNKNOWN, DATA_FORMATS_MIXED
 */
export async function findSourceFiles(
  paths: readonly string[],
  wanted?: SourceFormat,
): Promise<{ files: string[]; format: SourceFormat }> {
  const files = (await Promise.all(paths.map(expand))).flat();
  let format = wanted ?? null;
  for (const file of files) {
    if (!isRemote(file)) {
      const found = await stat(file).catch((error: unknown) => {
        throw fileError(error, file);
      });
      if (found.size === 0) {
        throw new ParetoError({
          code: "DATA_FILE_EMPTY",
          where: file,
          message: "the file is empty, got 0 bytes",
          fix: "Give a file with at least a header and some rows.",
        });
      }
    }
    if (wanted !== undefined) continue;
    const found = await detectFormat(file);
    if (format !== null && found !== format) {
      throw new ParetoError({
        code: "DATA_FORMATS_MIXED",
        where: file,
        message: `the files of a source must share one format, got ${format} in ${files[0]!} and ${found} in ${file}`,
        fix: "Read them one by one, or join them by a query that names both files.",
      });
    }
    format = found;
  }
  return { files, format: format ?? "parquet" };
}
