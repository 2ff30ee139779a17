/**
 * @file From paths, folders and globs to files: they exist, are not empty, and are all of one format, which their bytes
 * decide rather than their names.
 *
 * Folders are searched to the bottom; names that begin with `.` or `_` (`_SUCCESS`, `.part.crc`) are left out, as Spark
 * and Hive do. Addresses with a scheme (`s3://…`, `https://…`) pass through to DuckDB unchecked.
 */
import { globSync } from "node:fs";
import { open, readdir, stat } from "node:fs/promises";
import { join, relative } from "node:path";
import { ParetoError } from "../../../base/errors.ts";
import { fileError, missingFile, noFile } from "../../../base/fileErrors.ts";
import { fileKind, KIND_BYTES, type FileKind } from "./fileKind.ts";
import { partitionsOf, type Partition } from "./hive.ts";
import { emptyFile, type TextKind } from "./textFile.ts";
import { unpack, type Packing } from "./unpack.ts";

/** What text and Parquet files are read as. `criteo`: tab separated, no header, a label, I1…I13 and C1…C26. */
export type FileFormat = "parquet" | "csv" | "json" | "criteo";

/** What a source is read as. */
export type SourceFormat = FileFormat | "duckdb" | "sqlite";

/** A file of a source. */
export interface SourceFile extends TextKind {
  path: string;
  format: SourceFormat;
}

/** The files of a source. */
export interface SourceFiles {
  files: SourceFile[];
  format: SourceFormat;
  partitions: Partition[];
  notices: string[];
}

const FORMAT_OF_ENDING: Record<string, FileFormat> = {
  parquet: "parquet",
  pq: "parquet",
  csv: "csv",
  tsv: "csv",
  txt: "csv",
  json: "json",
  jsonl: "json",
  ndjson: "json",
};

/** Whether a path names a remote object. */
export function isRemote(path: string): boolean {
  return /^[a-z][a-z0-9+.-]+:\/\//i.test(path);
}

function endingFormat(path: string): FileFormat | null {
  const ending =
    path
      .toLowerCase()
      .replace(/\.(gz|gzip|zst|zstd)$/, "")
      .split(".")
      .at(-1) ?? "";
  return FORMAT_OF_ENDING[ending] ?? null;
}

/** Whether a file of a folder is data by its name: parts that Spark writes may have no ending at all. */
function isData(path: string): boolean {
  const name = path.split(/[/\\]/).at(-1)!;
  if (/\.txt(\.|$)/i.test(name)) return false;
  return endingFormat(name) !== null || /^part-[^.]*$/.test(name);
}

async function filesOf(folder: string, notices: string[]): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch((error: unknown) => {
    throw fileError(error, folder);
  });
  const all = entries
    .filter((entry) => entry.isFile() || entry.isSymbolicLink())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter(
      (path) =>
        !relative(folder, path)
          .split(/[/\\]/)
          .some((part) => /^[._]/.test(part)),
    )
    .sort();
  const files = all.filter(isData);
  if (files.length === 0) throw missingFile(folder, "the folder holds no Parquet, CSV or JSON file");
  const left = all.filter((path) => !isData(path));
  if (left.length > 0) {
    notices.push(
      `${left.length} ${left.length === 1 ? "file" : "files"} of ${folder} are no data by their names and are left out, e.g. ${left[0]!}.`,
    );
  }
  return files;
}

async function expand(path: string, notices: string[]): Promise<string[]> {
  if (isRemote(path)) return [path];
  const found = await stat(path).catch(() => null);
  if (found?.isDirectory()) return filesOf(path, notices);
  // A pipe gives its bytes once, and one without a writer never.
  if (found !== null && !found.isFile()) throw noFile(path, found);
  if (found !== null) return [path];
  if (!/[*?[{]/.test(path)) throw missingFile(path, "there is no such file");
  const matches = globSync(path).sort();
  const nested = await Promise.all(
    matches.map(async (match) => ((await stat(match)).isDirectory() ? filesOf(match, notices) : [match])),
  );
  if (nested.length > 0) return nested.flat();
  throw missingFile(path, "no file matches the pattern");
}

async function readHead(path: string): Promise<Buffer> {
  try {
    const handle = await open(path, "r");
    try {
      const head = Buffer.alloc(KIND_BYTES);
      const { bytesRead } = await handle.read(head, 0, head.length, 0);
      return head.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw fileError(error, path);
  }
}

/** The first bytes of what a compressed file holds. */
async function unpackedHead(path: string, packing: Packing): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const piece of unpack(path, packing)) {
    pieces.push(piece);
    sizeBytes += piece.length;
    if (sizeBytes >= KIND_BYTES) break;
  }
  return Buffer.concat(pieces).subarray(0, KIND_BYTES);
}

function unreadable(path: string, got: string, fix: string): ParetoError {
  return new ParetoError({
    code: "DATA_FORMAT_UNKNOWN",
    where: path,
    message: `the file is neither Parquet, CSV, JSON nor a DuckDB database, got ${got}`,
    fix,
  });
}

/** The format of a text, by the file's name and by how it begins. */
function textFormat(path: string, head: Buffer, notices: string[]): FileFormat {
  const byName = endingFormat(path);
  const text = head
    .toString("latin1")
    .replace(/^\xef\xbb\xbf|^\xff\xfe|^\xfe\xff/, "")
    .replaceAll("\0", "");
  const isJson = /^\s*(?:\{\s*(?:"|\}|$)|\[\s*(?:\{|\]|$))/.test(text);
  if (byName === "json" && !isJson) {
    const line = text.split("\n")[0]!.slice(0, 60);
    throw unreadable(
      path,
      `a file named as JSON that begins with ${JSON.stringify(line)}`,
      "If it is CSV, say --format csv.",
    );
  }
  const format = isJson ? "json" : "csv";
  if (byName !== null && byName !== format) {
    notices.push(`${path} is ${format === "csv" ? "CSV" : "JSON"} by its content, whatever its name says.`);
  }
  return format;
}

/** What a file is, by its bytes; by its name where it is remote. */
async function lookAt(path: string, wanted: FileFormat | undefined, notices: string[]): Promise<SourceFile> {
  if (isRemote(path))
    return { path, format: wanted ?? endingFormat(path) ?? "parquet", packing: null, encoding: null };
  let head = await readHead(path);
  if (head.length === 0) throw emptyFile(path);
  let kind = fileKind(head);
  if (head[0] === 0x1f && head.length < 2) kind = "gzip";
  let packing: Packing | null = null;
  if (kind === "gzip" || kind === "zstd") {
    packing = kind;
    head = await unpackedHead(path, packing);
    if (head.length === 0) throw emptyFile(path);
    kind = fileKind(head);
  }
  if (kind === "gzip" || kind === "zstd")
    throw unreadable(path, "a file that was compressed twice", "Decompress it once.");
  if (typeof kind === "object") throw unread(path, kind);
  if (kind === "sqlite" || kind === "duckdb" || kind === "parquet") {
    if (kind !== "parquet" && packing !== null)
      throw unreadable(path, `a compressed ${kind} database`, "Decompress it first.");
    if (wanted !== undefined && wanted !== kind) {
      throw unreadable(
        path,
        `a ${kind} file with --format ${wanted}`,
        "Leave out --format: the file says what it is.",
      );
    }
    return { path, format: kind, packing, encoding: null };
  }
  const encoding = kind === "text" ? null : kind;
  if (wanted === "parquet")
    throw unreadable(path, "a text with --format parquet", "Leave out --format, or name its own.");
  return { path, format: wanted ?? textFormat(path, head, notices), packing, encoding };
}

function unread(path: string, kind: Exclude<FileKind, string>): ParetoError {
  if (endingFormat(path) === "parquet" && kind.what.startsWith("one that")) {
    return new ParetoError({
      code: "DATA_PARQUET_DAMAGED",
      where: path,
      message: `the Parquet file is damaged, got ${kind.what} where PAR1 should be`,
      fix: "Write or copy the file again.",
    });
  }
  return unreadable(path, kind.what, kind.fix);
}

/**
 * The files of a source, in the order given; a glob's and a folder's files by name.
 * @throws ParetoError FILE_MISSING, DATA_FILE_EMPTY, DATA_FORMAT_UNKNOWN, DATA_FORMATS_MIXED, DATA_PARQUET_DAMAGED,
 *   DATA_COMPRESSION, DATA_COLUMNS_DIFFER
 */
export async function findSourceFiles(paths: readonly string[], wanted?: FileFormat): Promise<SourceFiles> {
  const notices: string[] = [];
  const found = (await Promise.all(paths.map((path) => expand(path, notices)))).flat();
  const files: SourceFile[] = [];
  for (const path of found) files.push(await lookAt(path, wanted, notices));
  const [first] = files;
  const other = files.find(({ format }) => format !== first!.format);
  if (other !== undefined) {
    throw new ParetoError({
      code: "DATA_FORMATS_MIXED",
      where: other.path,
      message: `the files of a source must share one format, got ${first!.format} in ${first!.path} and ${other.format} in ${other.path}`,
      fix: `Name those of one format, e.g. by a pattern such as 'FOLDER/*.${first!.format}', or join them by a query that names both.`,
    });
  }
  const database = files.find(({ format }) => format === "duckdb" || format === "sqlite");
  if (database !== undefined && files.length > 1) {
    throw new ParetoError({
      code: "DATA_FORMATS_MIXED",
      where: database.path,
      message: `a database is a source of its own, got ${files.length} files`,
      fix: "Give one database alone, and copy into it what else is needed.",
    });
  }
  return { files, format: first?.format ?? "parquet", partitions: partitionsOf(found), notices };
}
