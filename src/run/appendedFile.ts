/**
 * @file A file that grows while the work goes on, in order and without holding it up.
 *
 * Bytes are held back until there is a block of them or a second has passed, and then written at once, so memory is
 * bounded. A failure to write does not stop the work; it is thrown when the file is closed.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import type { ParetoError } from "../base/errors.ts";
import { fileError } from "../base/fileErrors.ts";

/** Bytes held back before they are written. */
const BLOCK_BYTES = 65_536;
/** Longest time that bytes wait to be written. */
const FLUSH_MS = 1000;

/** A file to append to. */
export class AppendedFile {
  readonly path: string;
  readonly #file: number;
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #error: ParetoError | undefined;
  #isOpen = true;

  /**
   * Opens a file.
   * @param path made if absent
   * @param mode `append` to what is there, or `replace` it
   * @param onOpen looks at what is there, before anything is appended
   * @throws ParetoError FILE_DISK_FULL, FILE_MISSING, FILE_REFUSED
   */
  constructor(path: string, mode: "append" | "replace" = "append", onOpen?: (file: number) => void) {
    this.path = path;
    try {
      this.#file = openSync(path, mode === "append" ? "a+" : "w");
      onOpen?.(this.#file);
    } catch (error) {
      throw fileError(error, path);
    }
  }

  /** Appends; never throws. Nothing happens after {@link close}. @param bytes not to be changed afterwards */
  append(bytes: Uint8Array): void {
    if (!this.#isOpen) return;
    this.#held.push(bytes);
    this.#heldBytes += bytes.length;
    if (this.#heldBytes >= BLOCK_BYTES) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), FLUSH_MS).unref();
  }

  /** Writes what is held back; never throws. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const bytes = Buffer.concat(this.#held);
    this.#held = [];
    this.#heldBytes = 0;
    if (this.#error) return;
    try {
      for (let at = 0; at < bytes.length;) at += writeSync(this.#file, bytes, at);
    } catch (error) {
      this.#error = fileError(error, this.path);
    }
  }

  /** Writes what is held back and closes. @throws ParetoError FILE_DISK_FULL, FILE_REFUSED when bytes were lost */
  close(): void {
    if (!this.#isOpen) return;
    this.flush();
    this.#isOpen = false;
    closeSync(this.#file);
    if (this.#error) throw this.#error;
  }
}
