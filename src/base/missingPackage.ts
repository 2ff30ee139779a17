/** @file The error for a package that cannot be loaded. It names the line that installs the version Pareto was tested with. */
import { pinnedVersion } from "./environment.ts";
import { ParetoError } from "./errors.ts";
import { firstLine } from "./fileErrors.ts";

/**
 * The error for a package that cannot be loaded.
 * @param code of the error, e.g. `DUCKDB_MISSING`
 * @param name of the package
 * @param purpose what needs it, as the subject of a sentence: `the charts of the report`
 * @param cause what loading it threw
 */
export function missingPackage(code: string, name: string, purpose: string, cause: unknown): ParetoError {
  const version = pinnedVersion(name);
  return new ParetoError({
    code,
    where: name,
    message: `${purpose} needs the package ${name}, which cannot be loaded, got "${firstLine(cause)}"`,
    fix: `Run: npm install ${name}${version === undefined ? "" : `@${version}`}`,
    cause,
  });
}
