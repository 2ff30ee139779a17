/** @file Refuses a file or folder that cannot be written before the work starts whose results would go there. */
import { access, constants, open, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ParetoError } from "./errors.ts";
import { fileError } from "./fileErrors.ts";

/**
 * Makes a file in the nearest folder that exists, and removes it; what stands at the path is not touched.
 * @param where the option or caller at fault
 * @throws ParetoError FILE_REFUSED where a file or folder of this kind cannot be made, FILE_DISK_FULL
 */
export async function requireWritable(path: string, kind: "file" | "folder", where: string): Promise<void> {
  const found = await stat(path).catch(() => null);
  if (found && found.isDirectory() !== (kind === "folder")) {
    const other = kind === "file" ? "folder" : "file";
    throw refused(where, `a ${kind} would be written where a ${other} is, got ${path}`);
  }
  try {
    if (found?.isFile()) return await access(path, constants.W_OK);
    if (found && kind === "file") return;
    const probe = join(await nearestFolder(path), `.pareto-${process.pid}`);
    await (await open(probe, "w")).close();
    await rm(probe);
  } catch (error) {
    // A file system that makes no files, such as /proc, says that there is none.
    const isMissing = (error as { code?: unknown }).code === "ENOENT";
    throw isMissing
      ? refused(where, `a ${kind} cannot be made here, got ${path}`, error)
      : fileError(error, path, `Choose another path for ${where}, one that can be written.`);
  }
}

function refused(where: string, message: string, cause?: unknown): ParetoError {
  return new ParetoError({ code: "FILE_REFUSED", where, message, fix: "Choose another path.", cause });
}

/** The path itself, or the nearest above it, that exists. */
async function nearestFolder(path: string): Promise<string> {
  const found = await stat(path).catch(() => null);
  const above = dirname(path);
  return found || above === path ? path : nearestFolder(above);
}
