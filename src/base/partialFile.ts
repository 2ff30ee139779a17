/**
 * @file Files that appear whole or not at all: bytes go to a neighbour of the file, which takes its name once
 * everything is on the disk. What stood there before stays until then, also when the disk fills up.
 *
 * One writer a file at a time. A writer that is killed leaves `NAME.partial` behind, which the next one replaces.
 */
import { open, rename, rm, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import { makeFolder } from "./makeFolder.ts";
import { fileError } from "./fileErrors.ts";
import { holdTemporary } from "./temporaryPaths.ts";

/** Most bytes of one call to the file system, which takes less than 2 GiB. */
const CALL_BYTES = 64 * 2 ** 20;

/** Makes a rename in a folder durable; systems that cannot (Windows) are left alone. */
async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, "r").catch(() => null);
  if (!handle) return;
  await handle.sync().catch(() => undefined);
  await handle.close();
}

/** A file being written. */
export class PartialFile {
  readonly path: string;
  readonly #partial: string;
  readonly #handle: FileHandle;
  readonly #release: () => void;
  #sizeBytes = 0;
  #isOpen = true;

  private constructor(path: string, partial: string, handle: FileHandle) {
    this.path = path;
    this.#partial = partial;
    this.#handle = handle;
    this.#release = holdTemporary(partial);
  }

  /** Starts a file; folders above it are made. @throws ParetoError FILE_DISK_FULL, FILE_REFUSED */
  static async create(path: string): Promise<PartialFile> {
    const partial = `${path}.partial`;
    try {
      await makeFolder(dirname(path));
      return new PartialFile(path, partial, await open(partial, "w"));
    } catch (error) {
      throw fileError(error, path);
    }
  }

  /** Bytes written so far. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Appends bytes; when it returns, the array may be used again. @throws ParetoError FILE_DISK_FULL, FILE_REFUSED */
  async write(bytes: Uint8Array): Promise<void> {
    try {
      for (let at = 0; at < bytes.length;) {
        const length = Math.min(CALL_BYTES, bytes.length - at);
        const { bytesWritten } = await this.#handle.write(bytes, at, length, this.#sizeBytes);
        at += bytesWritten;
        this.#sizeBytes += bytesWritten;
      }
    } catch (error) {
      throw fileError(error, this.path);
    }
  }

  /** Forces the bytes to the disk without giving the file its name yet. @throws ParetoError FILE_DISK_FULL */
  async sync(): Promise<void> {
    try {
      await this.#handle.sync();
    } catch (error) {
      throw fileError(error, this.path);
    }
  }

  /** Forces the bytes to the disk and gives the file its name. @throws ParetoError FILE_DISK_FULL, FILE_REFUSED */
  async commit(): Promise<void> {
    await this.sync();
    try {
      this.#isOpen = false;
      await this.#handle.close();
      await rename(this.#partial, this.path);
      this.#release();
      await syncFolder(dirname(this.path));
    } catch (error) {
      throw fileError(error, this.path);
    }
  }

  /** Gives up and removes what was written; nothing happens after a commit. */
  async abort(): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    await this.#handle.close().catch(() => undefined);
    await rm(this.#partial, { force: true }).catch(() => undefined);
    this.#release();
  }
}
