/** @file A short name for a value, for folders of the cache. */
import { createHash } from "node:crypto";

/** Sixteen hexadecimal digits of the SHA-256 of a value as JSON. */
export function digest(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 16);
}
