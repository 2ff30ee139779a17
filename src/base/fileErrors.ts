/** @file Turns errors of the file system into the library's error, so that no native text stands alone. */
import type { Stats } from "node:fs";
import { ParetoError } from "./errors.ts";

/** The first line of a native message that holds anything. */
export function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return (text.split("\n").find((line) => line.trim() !== "") ?? text).trim();
}

/** The error of a full disk, code `FILE_DISK_FULL`. @param received the native message */
export function diskFull(where: string, received: string, cause: unknown): ParetoError {
  return new ParetoError({
    code: "FILE_DISK_FULL",
    where,
    message: `the disk is full; what stood there before is unchanged, got ${received}`,
    fix: "Free some space, or choose an output or temporary folder on a larger disk.",
    cause,
  });
}

/** The error of a path that leads to no file, code `FILE_MISSING`. @param what e.g. `there is no such file` */
export function missingFile(path: string, what: string, cause?: unknown): ParetoError {
  return new ParetoError({
    code: "FILE_MISSING",
    where: path,
    message: `${what}, got ${path}`,
    fix: "Check the path, and the folder from which the command runs.",
    ...(cause !== undefined && { cause }),
  });
}

/** The error of a path that leads to something else than a file, code `FILE_REFUSED`. */
export function noFile(path: string, found: Pick<Stats, "isDirectory">): ParetoError {
  return new ParetoError({
    code: "FILE_REFUSED",
    where: path,
    message: `a file is needed here, got ${found.isDirectory() ? "a folder" : "a device or a pipe"}`,
    fix: "Check the path, and put the file in its place.",
  });
}

/**
 * The library's error for one of the file system.
 * @param path the file at fault
 * @param fix what to do where the file system refuses, e.g. the option that names another folder
 * @returns `FILE_DISK_FULL`, `FILE_MISSING` or `FILE_REFUSED`; an error of Pareto's own as it is
 */
export function fileError(
  error: unknown,
  path: string,
  fix = "Check that the path is right and that it may be read and written.",
): ParetoError {
  if (error instanceof ParetoError) return error;
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code === "ENOSPC" || code === "EDQUOT") return diskFull(path, firstLine(error), error);
  // Of folders that are made with those above them, Node says ENOENT where the file system is read-only.
  const isNoFolder = code === "ENOENT" && (error as NodeJS.ErrnoException).syscall === "mkdir";
  if (code === "ENOENT" && !isNoFolder) return missingFile(path, "there is no such file", error);
  return new ParetoError({
    code: "FILE_REFUSED",
    where: path,
    message: `the file system refused${isNoFolder ? ", which is read-only or makes no folders" : ""}, got ${firstLine(error)}`,
    fix,
    cause: error,
  });
}
