/** @file The files of a folder, in memory. */
import { readFile, readdir } from "node:fs/promises";
import { join, relative } from "node:path";

/** Content by path below the folder, in the order of the paths. */
export async function filesBelow(folder: string): Promise<Map<string, Uint8Array>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const files = new Map<string, Uint8Array>();
  for (const path of paths.sort()) files.set(relative(folder, path), await readFile(path));
  return files;
}
