/**
 * @file A log of events: one JSON text a line, appended while the work goes on.
 *
 * Text is held back until there is a block of it or a second has passed, and then written at once, so memory is
 * bounded and lines stay in order. A process that is killed may leave a torn last line: readers skip it and the next
 * writer cuts it off.
 */
import { closeSync, openSync, readSync, fstatSync, ftruncateSync, writeSync } from "node:fs";
import { open } from "node:fs/promises";
import { fileError } from "../base/fileErrors.ts";
import type { ParetoError } from "../base/errors.ts";
import type { RunEvent } from "./events.ts";

/** Characters held back before they are written. */
const BLOCK_CHARS = 65_536;
/** Longest time that an event waits to be written. */
const FLUSH_MS = 1000;

/** Appends events to a file. */
export class EventLog {
  readonly path: string;
  readonly #file: number;
  #text = "";
  #timer: NodeJS.Timeout | undefined;
  #error: ParetoError | undefined;
  #isOpen = true;

  /**
   * Opens a log.
   * @param path made if absent
   * @param mode `append` to what is there, or `replace` it
   * @throws ParetoError FILE_DISK_FULL, FILE_MISSING, FILE_REFUSED
   */
  constructor(path: string, mode: "append" | "replace" = "append") {
    this.path = path;
    try {
      this.#file = openSync(path, mode === "append" ? "a+" : "w");
      if (mode === "append") cutTornLine(this.#file);
    } catch (error) {
      throw fileError(error, path);
    }
  }

  /** Records an event; never throws. Can be passed on as a callback. */
  readonly append = (event: RunEvent): void => {
    if (!this.#isOpen) return;
    this.#text += `${JSON.stringify(event)}\n`;
    if (this.#text.length >= BLOCK_CHARS) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), FLUSH_MS).unref();
  };

  /** Writes what is held back; never throws. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const bytes = Buffer.from(this.#text);
    this.#text = "";
    if (this.#error) return;
    try {
      for (let at = 0; at < bytes.length;) at += writeSync(this.#file, bytes, at);
    } catch (error) {
      this.#error = fileError(error, this.path);
    }
  }

  /** Writes what is held back and closes. @throws ParetoError FILE_DISK_FULL, FILE_REFUSED when events were lost */
  close(): void {
    if (!this.#isOpen) return;
    this.flush();
    this.#isOpen = false;
    closeSync(this.#file);
    if (this.#error) throw this.#error;
  }
}

/** Cuts a file behind its last line end. */
function cutTornLine(file: number): void {
  const block = Buffer.alloc(BLOCK_CHARS);
  for (let end = fstatSync(file).size; end > 0;) {
    const start = Math.max(0, end - block.length);
    const length = readSync(file, block, 0, end - start, start);
    const last = block.subarray(0, length).lastIndexOf("\n");
    if (last >= 0 || start === 0) {
      ftruncateSync(file, start + last + 1);
      return;
    }
    end = start;
  }
}

/**
 * The events of a log, in order; a torn last line is skipped, as are lines that hold no event.
 * @throws ParetoError FILE_MISSING, FILE_REFUSED
 */
export async function* readEvents(path: string): AsyncGenerator<RunEvent> {
  try {
    await using file = await open(path, "r");
    for await (const line of file.readLines()) {
      const event = parseEvent(line);
      if (event) yield event;
    }
  } catch (error) {
    throw fileError(error, path);
  }
}

function parseEvent(line: string): RunEvent | null {
  try {
    const event = JSON.parse(line) as RunEvent | null;
    return typeof event?.event === "string" ? event : null;
  } catch {
    return null;
  }
}
