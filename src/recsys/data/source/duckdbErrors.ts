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
