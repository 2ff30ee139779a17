/**
 * @file Folders that are built beside their place and put there by a rename, so that a reader sees a whole one or
 * none and two processes may build the same one at once. What a process left that has died is removed.
 */
import { mkdir, readdir, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { makeFolder } from "../../../base/makeFolder.ts";

/**
 * Makes the folder to build in: `DIRECTORY.PID.partial`.
 * @param directory the place that it is for
 */
export async function makePartialFolder(directory: string): Promise<string> {
  const parent = dirname(directory);
  const name = basename(directory);
  await makeFolder(parent);
  for (const other of await readdir(parent)) {
    const pid = other.startsWith(`${name}.`)
      ? /^(\d+)\.partial$/.exec(other.slice(name.length + 1))?.[1]
      : undefined;
    if (pid !== undefined && !isAlive(Number(pid)))
      await rm(join(parent, other), { recursive: true, force: true });
  }
  const partial = `${directory}.${process.pid}.partial`;
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial);
  return partial;
}

function isAlive(pid: number): boolean {
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
