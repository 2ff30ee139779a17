/**
 * @file Turns errors of the file system and of DuckDB into the library's error, so that no native text stands alone.
 */
import { ParetoError } from "../engine/errors.ts";

function diskFull(where: string, received: string, cause: unknown): ParetoError {
  return new ParetoError({
    code: "DATA_DISK_FULL",
    where,
    message: `The disk is full; nothing that existed before was changed. Received: ${received}`,
    fix: "Free some space, or choose an output or temporary directory on a larger disk.",
    cause,
  });
}

/** The first line of a native message, without DuckDB's query excerpt. */
export function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return (text.split("\n").find((line) => line.trim() !== "") ?? text).trim();
}

/** Wraps an error of `node:fs`. @param where the path at fault */
export function wrapFileError(error: unknown, where: string): ParetoError {
  if (error instanceof ParetoError) return error;
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code === "ENOSPC" || code === "EDQUOT") return diskFull(where, firstLine(error), error);
  if (code === "ENOENT") {
    return new ParetoError({
      code: "DATA_FILE_MISSING",
      where,
      message: `There is no such file: ${where}`,
      fix: "Check the path, and the folder from which the command runs.",
      cause: error,
    });
  }
  return new ParetoError({
    code: "DATA_FILE",
    where,
    message: `The file system refused: ${firstLine(error)}`,
    fix: "Check that the path is right and that it may be read and written.",
    cause: error,
  });
}

/** Wraps an error of DuckDB. @param where what was being done or read */
export function wrapDuckdbError(error: unknown, where: string): ParetoError {
  if (error instanceof ParetoError) return error;
  const text = error instanceof Error ? error.message : String(error);
  const line = firstLine(error);
  if (/no space left|disk full|max_temp_directory_size|ENOSPC/i.test(text))
    return diskFull(where, line, error);
  if (/out of memory/i.test(text)) {
    return new ParetoError({
      code: "DATA_MEMORY",
      where,
      message: `DuckDB needs more memory than it was given: ${line}`,
      fix: "Raise the memory limit of the data layer, or lower its threads.",
      cause: error,
    });
  }
  return new ParetoError({
    code: "DATA_READ",
    where,
    message: `DuckDB could not read the data: ${line}`,
    fix: "Check the file or the query; DuckDB's own words are above.",
    cause: error,
  });
}
