/**
 * @file JSON files that Pareto writes and reads again. A format states the schema of one kind of file, the newest
 * versions that are read, and the codes of its errors; every such file is then read, and refused, in the same way.
 */
import { basename } from "node:path";
import type { z } from "zod";
import { ParetoError } from "./errors.ts";
import { firstLine } from "./fileErrors.ts";
import { writeText } from "./files.ts";

/** What JSON can hold. */
export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue };

/** A kind of JSON file. */
export interface JsonFormat<T> {
  /** What a file describes, as messages name it: `checkpoint`. */
  readonly noun: string;
  readonly schema: z.ZodType<T>;
  /** The newest versions that are read, by the field that holds them: `{ version: 1 }`. */
  readonly newest?: Readonly<Record<string, number>>;
  /** The codes of errors: for what cannot be used, and for what a newer Pareto wrote. */
  readonly codes: { readonly damaged: string; readonly version?: string };
  /** What to do about a file that cannot be used. */
  readonly fix: string;
}

/** Writes a value as indented JSON, whole or not at all. @throws ParetoError FILE_DISK_FULL, FILE_REFUSED */
export async function writeJson(path: string, value: unknown): Promise<void> {
  await writeText(path, `${JSON.stringify(value, null, 2)}\n`);
}

/**
 * The value of a file's text. A byte order mark, which some editors put before it, is skipped.
 * @param path of the file, for errors
 * @throws ParetoError of the format's codes: what is no JSON, what a newer Pareto wrote, what the schema refuses
 */
export function parseJson<T>(format: JsonFormat<T>, path: string, text: string): T {
  const json = parseText(format, path, text);
  const { noun, newest = {}, codes } = format;
  const fields = (json ?? {}) as Record<string, unknown>;
  if (codes.version !== undefined && Object.keys(newest).some((key) => Number(fields[key]) > newest[key]!)) {
    const list = (value: (key: string) => unknown) =>
      Object.keys(newest)
        .map((key) => `${key} ${String(value(key))}`)
        .join(" and ");
    throw new ParetoError({
      code: codes.version,
      where: path,
      message: `this Pareto reads a ${noun} up to ${list((key) => newest[key])}, got ${list((key) => fields[key])}`,
      fix: "Use the newer Pareto that wrote it, or one later than that.",
    });
  }
  return checkJson(format, path, json);
}

/**
 * Checks a value that was parsed already.
 * @param where its file, for errors
 * @throws ParetoError of the format's code for what cannot be used
 */
export function checkJson<T>(format: JsonFormat<T>, where: string, json: unknown): T {
  const parsed = format.schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const problem = `${basename(where)} is wrong at "${issue?.path.join(".")}"`;
  throw unusableJson(format, where, problem, issue?.message, parsed.error);
}

/**
 * The error for a file that cannot be used.
 * @param problem what is wrong, as a clause: `its checksum should be 7`
 * @param received what was found instead
 */
export function unusableJson(
  { noun, codes, fix }: Pick<JsonFormat<unknown>, "noun" | "codes" | "fix">,
  path: string,
  problem: string,
  received: unknown,
  cause?: unknown,
): ParetoError {
  return new ParetoError({
    code: codes.damaged,
    where: path,
    message: `the ${noun} cannot be used: ${problem}, got ${String(received)}`,
    fix,
    cause,
  });
}

function parseText(
  format: Pick<JsonFormat<unknown>, "noun" | "codes" | "fix">,
  path: string,
  text: string,
): unknown {
  try {
    return JSON.parse(text.replace(/^\uFEFF/, ""));
  } catch (cause) {
    const start = JSON.stringify(text.slice(0, 40));
    throw unusableJson(format, path, `${basename(path)} is not JSON (${firstLine(cause)})`, start, cause);
  }
}
