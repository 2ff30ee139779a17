/** @file A folder that is there afterwards. */
import { mkdir } from "node:fs/promises";
import { fileError } from "../base/fileErrors.ts";

/** Makes a folder and those above it. @throws ParetoError FILE_REFUSED, FILE_DISK_FULL */
export async function makeFolder(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true });
  } catch (error) {
    throw fileError(error, directory);
  }
}
