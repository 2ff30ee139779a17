/**
 * @file JSON files that Pareto writes and reads again. A format states the schema of one kind of file, the newest
 * versions that are read, and the codes of its errors; every such file is then read, and refused, in the same way.
 */
import { readFile, stat } from "node:fs/promises";
import { basename } from "node:path";
import type { z } from "zod";
import { ParetoError } from "./errors.ts";
import { fileError, missingFile, noFile } from "./fileErrors.ts";
import { writeText } from "./files.ts";
import { describeIssue } from "./jsonIssue.ts";
import { JsonTextError, parseJsonText } from "./jsonText.ts";

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
  /** Whether it may come through a pipe, as files that users name may. Defaults to no. */
  readonly takesPipes?: boolean;
}

/** Bytes of the largest file; no JSON of Pareto's comes near it. */
const MOST_BYTES = 2 ** 28;

/** Writes a value as indented JSON, whole or not at all. @throws ParetoError FILE_DISK_FULL, FILE_REFUSED */
export async function writeJson(path: string, value: unknown): Promise<void> {
  await writeText(path, `${JSON.stringify(value, null, 2)}\n`);
}

/**
 * Reads a file.
 * @throws ParetoError FILE_MISSING, FILE_REFUSED, and as {@link parseJson}
 */
export async function readJson<T>(format: JsonFormat<T>, path: string): Promise<T> {
  const value = await readJsonIfExists(format, path);
  if (value === null) throw missingFile(path, `there is no such file (${format.noun})`);
  return value;
}

/**
 * Reads a file; null where there is none.
 * @throws ParetoError FILE_REFUSED, and as {@link parseJson}
 */
export async function readJsonIfExists<T>(format: JsonFormat<T>, path: string): Promise<T | null> {
  const text = await readJsonText(format, path);
  return text === null ? null : parseJson(format, path, text);
}

/**
 * Reads the text of a file; null where there is none.
 * @throws ParetoError FILE_REFUSED, and the format's code for what is not UTF-8, or too large
 */
export async function readJsonText(format: JsonFormat<unknown>, path: string): Promise<string | null> {
  const bytes = await readBytes(format, path);
  return bytes === null ? null : decode(format, path, bytes);
}

/**
 * The value of a file's text.
 * @param path of the file, for errors
 * @throws ParetoError of the format's codes: what is no JSON, what a newer Pareto wrote, what the schema refuses
 */
export function parseJson<T>(format: JsonFormat<T>, path: string, text: string): T {
  const json = parseText(format, path, text);
  const { noun, newest = {}, codes } = format;
  const fields = (json ?? {}) as Record<string, unknown>;
  if (codes.version !== undefined && Object.keys(newest).some((key) => isNewer(fields[key], newest[key]!))) {
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

const isNewer = (found: unknown, newest: number): boolean => typeof found === "number" && found > newest;

/**
 * Checks a value that was parsed already.
 * @param where its file, for errors
 * @throws ParetoError of the format's code for what cannot be used
 */
export function checkJson<T>(
  format: Pick<JsonFormat<T>, "noun" | "schema" | "codes" | "fix">,
  where: string,
  json: unknown,
): T {
  const parsed = format.schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const { problem, received } = describeIssue(parsed.error, json);
  throw unusableJson(format, where, `${basename(where)} is wrong ${problem}`, received, parsed.error);
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
    return parseJsonText(text);
  } catch (error) {
    if (!(error instanceof JsonTextError)) throw error;
    throw unusableJson(format, path, `${basename(path)} ${error.problem}`, error.received, error);
  }
}

/** The bytes of a file; null where there is none. What waits for a writer, such as a pipe, is read only if asked to. */
async function readBytes(format: JsonFormat<unknown>, path: string): Promise<Buffer | null> {
  try {
    const found = await stat(path);
    const isReadable = found.isFile() || (format.takesPipes === true && !found.isDirectory());
    if (!isReadable) throw noFile(path, found);
    if (found.size > MOST_BYTES) {
      const problem = `${basename(path)} should have no more than ${MOST_BYTES} bytes`;
      throw unusableJson(format, path, problem, found.size);
    }
    return await readFile(path);
  } catch (error) {
    const { code } = error as { code?: unknown };
    if (code === "ENOENT" || code === "ENOTDIR") return null;
    throw fileError(error, path);
  }
}

function decode(format: JsonFormat<unknown>, path: string, bytes: Buffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    const start = bytes.subarray(0, 8).toString("hex");
    throw unusableJson(format, path, `${basename(path)} is not UTF-8 text`, `bytes ${start}`, cause);
  }
}
