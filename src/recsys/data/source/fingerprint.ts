/**
 * @file Tells whether prepared data still matches its source: a SHA-256 of the options and of each file's path, size,
 * modification time and samples of its content (first, last and 14 evenly spaced 4 KiB pieces between them).
 *
 * Remote files count by their address only, a query by its text: files that only the query names are not looked at.
 */
import { createHash } from "node:crypto";
import { open, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { fileError } from "../../../base/fileErrors.ts";
import { isRemote } from "./sourceFiles.ts";

const PIECE_BYTES = 4096;
const PIECES = 16;

/**
 * Fingerprints files together with whatever options shaped the result.
 * @param options anything that JSON can write, with a stable order of keys
 * @throws ParetoError FILE_MISSING, FILE_REFUSED
 */
export async function fingerprint(files: readonly string[], options: unknown): Promise<string> {
  const hash = createHash("sha256");
  hash.update(JSON.stringify(options));
  const piece = new Uint8Array(PIECE_BYTES);
  for (const file of files) {
    if (isRemote(file)) {
      hash.update(file);
      continue;
    }
    try {
      const { size, mtimeMs } = await stat(file);
      hash.update(JSON.stringify([resolve(file), size, mtimeMs]));
      const handle = await open(file, "r");
      try {
        const last = Math.max(0, size - PIECE_BYTES);
        for (let i = 0; i < PIECES; i++) {
          const position = Math.floor((last * i) / (PIECES - 1));
          const { bytesRead } = await handle.read(piece, 0, PIECE_BYTES, position);
          hash.update(piece.subarray(0, bytesRead));
        }
      } finally {
        await handle.close();
      }
    } catch (error) {
      throw fileError(error, file);
    }
  }
  return hash.digest("hex");
}
