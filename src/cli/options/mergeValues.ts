/**
 * @file The values that a command runs on: defaults, over them what a configuration file says, over that the command
 * line. Pure; whoever calls it has read the file.
 */
import type { z } from "zod";
import { ParetoError } from "../../base/errors.ts";
import { nearestName } from "../../base/nearestName.ts";
import { flagName, syntax, type OptionSpec, type OptionTable, type Values } from "./spec.ts";

/** What a configuration file holds. */
export interface FileValues {
  path: string;
  values: Readonly<Record<string, unknown>>;
}

/** Values, and which of them were given rather than left to their default. */
export interface Merged<Table extends OptionTable> {
  values: Values<Table>;
  given: ReadonlySet<keyof Table>;
}

/**
 * Checks a value by its option's schema.
 * @param where the flag, or the file and key, that the value comes from
 * @param code of the error
 * @throws ParetoError `code` for a value that the schema refuses
 */
export function readValue<T>(
  { schema }: Pick<OptionSpec<T>, "schema">,
  value: unknown,
  where: string,
  name: string,
  code: string,
): T {
  const read = schema.safeParse(value);
  if (read.success) return read.data;
  const issue = read.error.issues[0]!;
  throw new ParetoError({
    code,
    where,
    message: `${lowerFirst(issue.message)} for ${name}, got ${JSON.stringify(value)}`,
    fix: fixOf(issue, value, name),
    cause: read.error,
  });
}

/**
 * The values of a table.
 * @param flags values of the command line by name, checked; absent where not given
 * @throws ParetoError CLI_CONFIG for a key of the file that the command does not have, or a value that its option does
 *   not take; CLI_MISSING where a required option is given by neither
 */
export function mergeValues<Table extends OptionTable>(
  table: Table,
  flags: Readonly<Record<string, unknown>>,
  file: FileValues | null,
): Merged<Table> {
  const known = Object.keys(table);
  for (const key of Object.keys(file?.values ?? {})) {
    if (!Object.hasOwn(table, key)) throw unknownKey(key, known, file!.path);
  }
  const given = new Set<keyof Table>();
  const values: Record<string, unknown> = {};
  for (const [name, option] of Object.entries(table)) {
    values[name] = option.defaultValue;
    if (file !== null && Object.hasOwn(file.values, name)) {
      const where = `${file.path}: ${name}`;
      values[name] = readValue(option, file.values[name], where, name, "CLI_CONFIG");
      given.add(name);
    }
    if (flags[name] !== undefined) {
      values[name] = flags[name];
      given.add(name);
    }
    if (option.defaultText === null && !given.has(name)) throw missing(name, option);
  }
  return { values: values as Values<Table>, given };
}

function unknownKey(key: string, known: readonly string[], path: string): ParetoError {
  const nearest = nearestName(key, known);
  return new ParetoError({
    code: "CLI_CONFIG",
    where: `${path}: ${key}`,
    message: `the command has no option of this name, got "${key}"`,
    fix: `${nearest === null ? "" : `Did you mean "${nearest}"? `}The command's --config-schema lists the names.`,
  });
}

function missing(name: string, option: OptionSpec<unknown>): ParetoError {
  const shown = option.operand === null ? flagName(name) : name;
  return new ParetoError({
    code: "CLI_MISSING",
    where: shown,
    message: `${shown} is required, got none`,
    fix: `Give ${syntax(name, option)}: ${lowerFirst(option.meaning)}.`,
  });
}

function fixOf(issue: z.core.$ZodIssue, value: unknown, name: string): string {
  if (issue.code === "invalid_value" && typeof value === "string") {
    const nearest = nearestName(value, issue.values.map(String));
    if (nearest !== null) return `Did you mean ${nearest}?`;
  }
  return `See --help for what ${name} takes.`;
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
