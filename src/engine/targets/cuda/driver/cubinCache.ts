/**
 * @file Machine code on disk, by what it was made from: source, architecture, compiler version, options.
 *
 * A file ends in the SHA-256 of what is before it and appears whole, by renaming, so that processes share a folder
 * and a damaged file is as good as none. A folder that cannot be written costs time, not correctness.
 */
import { createHash, randomUUID } from "node:crypto";
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { makeFolder } from "../../../../base/makeFolder.ts";

const digestBytes = 32;

/** The name of what was made from these parts. */
export function cubinKey(...parts: readonly string[]): string {
  const hash = createHash("sha256");
  // Lengths keep ("ab", "c") and ("a", "bc") apart.
  for (const part of parts) hash.update(`${Buffer.byteLength(part)}\n`).update(part);
  return hash.digest("hex");
}

/** A folder of machine code. */
export class CubinCache {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** What is kept under a key, or what `make` makes, which is then kept. */
  async get(key: string, make: () => Promise<Uint8Array>): Promise<Uint8Array> {
    const path = join(this.#directory, `${key}.cubin`);
    const kept = await readFile(path).then(verified, () => undefined);
    if (kept) return kept;
    const made = await make();
    await this.#keep(path, made).catch(() => undefined);
    return made;
  }

  async #keep(path: string, code: Uint8Array): Promise<void> {
    await makeFolder(this.#directory);
    const temporary = `${path}.${randomUUID()}`;
    try {
      await writeFile(temporary, Buffer.concat([code, digest(code)]));
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  }
}

function digest(code: Uint8Array): Buffer {
  return createHash("sha256").update(code).digest();
}

/** The code of a file, unless it is damaged. */
function verified(file: Buffer): Uint8Array | undefined {
  if (file.length <= digestBytes) return undefined;
  const code = file.subarray(0, file.length - digestBytes);
  return digest(code).equals(file.subarray(-digestBytes)) ? code : undefined;
}
