/** @file Turns errors of DuckDB into the library's error, so that no native text stands alone. */
import { ParetoError } from "../../../base/errors.ts";
import { diskFull, firstLine } from "../../../base/fileErrors.ts";

/** Wraps an error of DuckDB. @param where what was being done or read */
export function wrapDuckdbError(error: unknown, where: string): ParetoError {
  if (error instanceof ParetoError) return error;
  const text = error instanceof Error ? error.message : String(error);
  const line = firstLine(error);
  if (/no space left|disk full|max_temp_directory_size|ENOSPC/i.test(text))
    return diskFull(where, line, error);
  const extension = missingExtension(text);
  if (extension !== null) {
    return new ParetoError({
      code: "DATA_EXTENSION",
      where,
      message: `an extension of DuckDB that reads this is not installed, got no "${extension}"`,
      fix: `Install it once, which fetches it from DuckDB's server: ${installLine(extension)}`,
      cause: error,
    });
  }
  if (/could not set lock/i.test(text)) {
    return new ParetoError({
      code: "DATA_LOCKED",
      where,
      message: `another process has the database open for writing, got ${line}`,
      fix: "Close that process, or copy the file and read the copy.",
      cause: error,
    });
  }
  if (/out of memory/i.test(text)) {
    return new ParetoError({
      code: "DATA_MEMORY",
      where,
      message: `reading the data needs more memory than it may use, got ${line}`,
      fix: "Raise the memory limit of the data layer, or lower its threads.",
      cause: error,
    });
  }
  return new ParetoError({
    code: "DATA_READ",
    where,
    message: `the data could not be read by DuckDB, got ${line}`,
    fix: "Check the file or the query; DuckDB's own words are above.",
    cause: error,
  });
}

/** The extension that DuckDB misses, or null. */
function missingExtension(text: string): string | null {
  const file = /Extension "[^"]*?([a-z_0-9]+)\.duckdb_extension" not found/i.exec(text)?.[1];
  return file ?? /(?:required|requires the) extension '?"?([a-z_0-9]+)/i.exec(text)?.[1] ?? null;
}

/** A command that installs an extension for the very DuckDB that Pareto uses. */
function installLine(extension: string): string {
  return `node -e "import('@duckdb/node-api').then(async ({ DuckDBInstance }) => (await (await DuckDBInstance.create()).connect()).run('INSTALL ${extension}'))"`;
}
