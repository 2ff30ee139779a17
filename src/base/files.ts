/** @file Small files of text: whether they are there, reading them, and writing them whole or not at all. */
import { access, readFile } from "node:fs/promises";
import { fileError } from "./fileErrors.ts";
import { PartialFile } from "./partialFile.ts";

/** Whether this process can see a file or folder at a path. */
export function fileExists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** The text of a file, as UTF-8. @throws ParetoError FILE_MISSING, FILE_REFUSED */
export async function readText(path: string): Promise<string> {
  return readFile(path, "utf8").catch((error: unknown) => {
    throw fileError(error, path);
  });
}

/** The text of a file, or null where there is no such file. @throws ParetoError FILE_REFUSED */
export async function readTextIfExists(path: string): Promise<string | null> {
  return readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return null;
    throw fileError(error, path);
  });
}

/** Writes a file whole or not at all. @throws ParetoError FILE_DISK_FULL, FILE_REFUSED */
export async function writeText(path: string, text: string): Promise<void> {
  const file = await PartialFile.create(path);
  try {
    await file.write(Buffer.from(text));
    await file.commit();
  } catch (error) {
    await file.abort();
    throw error;
  }
}
