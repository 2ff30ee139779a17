/** @file Makes a folder with those above it. Node's own recursion never ends on file systems that make no folders, such as /proc. */
import { mkdir, stat } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * Makes a folder and those above it that are missing; one that is there stays.
 * @throws Error of the file system: EEXIST or ENOTDIR where a file stands in the way, EACCES, EROFS, ENOENT where none can be made
 */
export async function makeFolder(path: string): Promise<void> {
  const found = await stat(path).catch(() => null);
  if (found?.isDirectory()) return;
  const above = dirname(path);
  if (above !== path) await makeFolder(above);
  await mkdir(path).catch(async (error: NodeJS.ErrnoException) => {
    // Another process may have made it in the meantime.
    if (error.code !== "EEXIST" || !(await stat(path)).isDirectory()) throw error;
  });
}
