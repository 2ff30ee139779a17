/** @file Whether something lies at a path. */
import { access } from "node:fs/promises";

/** Whether this process can see a file or folder there. */
export function fileExists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
