/**
 * @file Where complete stretches of rows wait for their turn, in memory up to a limit and beyond it in a temporary file.
 */
import { open, rm } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { fileError } from "../../../base/fileErrors.ts";

/** Consecutive rows, column after column: column c of the i-th row is `words[c · size + i]`. */
export interface Stretch {
  /** Number of the first row. */
  start: number;
  size: number;
  words: Int32Array;
}

interface Spilled {
  start: number;
  size: number;
  /** Byte offset in the file. */
  offset: number;
  sizeBytes: number;
}

/** Stretches waiting for their turn. */
export class RowReorder {
  readonly #path: string;
  readonly #limitBytes: number;
  readonly #held = new Map<number, Stretch>();
  readonly #spilled = new Map<number, Spilled>();
  #heldBytes = 0;
  #fileBytes = 0;
  #handle: FileHandle | null = null;

  /** @param path of the temporary file, made only when needed */
  constructor(path: string, limitBytes: number) {
    this.#path = path;
    this.#limitBytes = limitBytes;
  }

  /** Stretches that went to the file so far. */
  get spilledBytes(): number {
    return this.#fileBytes;
  }

  /** Keeps a stretch until it is taken. @throws ParetoError FILE_DISK_FULL, FILE_REFUSED */
  async put(stretch: Stretch): Promise<void> {
    const { start, size, words } = stretch;
    if (this.#heldBytes + words.byteLength <= this.#limitBytes) {
      this.#held.set(start, stretch);
      this.#heldBytes += words.byteLength;
      return;
    }
    try {
      this.#handle ??= await open(this.#path, "w+");
      const bytes = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
      for (let done = 0; done < bytes.length;) {
        const { bytesWritten } = await this.#handle.write(
          bytes,
          done,
          bytes.length - done,
          this.#fileBytes + done,
        );
        done += bytesWritten;
      }
    } catch (error) {
      throw fileError(error, this.#path);
    }
    this.#spilled.set(start, { start, size, offset: this.#fileBytes, sizeBytes: words.byteLength });
    this.#fileBytes += words.byteLength;
  }

  /** The stretch that starts at a row, removed from here; null when it has not come yet. */
  async take(start: number): Promise<Stretch | null> {
    const held = this.#held.get(start);
    if (held !== undefined) {
      this.#held.delete(start);
      this.#heldBytes -= held.words.byteLength;
      return held;
    }
    const spilled = this.#spilled.get(start);
    if (spilled === undefined) return null;
    this.#spilled.delete(start);
    const bytes = new Uint8Array(spilled.sizeBytes);
    for (let done = 0; done < bytes.length;) {
      const { bytesRead } = await this.#handle!.read(bytes, done, bytes.length - done, spilled.offset + done);
      if (bytesRead === 0) throw fileError(new Error("the temporary file was cut short"), this.#path);
      done += bytesRead;
    }
    return { start, size: spilled.size, words: new Int32Array(bytes.buffer) };
  }

  /** Removes the temporary file. */
  async dispose(): Promise<void> {
    await this.#handle?.close();
    if (this.#handle !== null) await rm(this.#path, { force: true });
  }
}
