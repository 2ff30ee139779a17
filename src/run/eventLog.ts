/**
 * @file A log of events: one JSON text a line, appended while the work goes on. A process that is killed may leave a
 * torn last line: readers skip it and the next writer cuts it off.
 */
import { fstatSync, ftruncateSync, readSync } from "node:fs";
import { open } from "node:fs/promises";
import { fileError } from "../base/fileErrors.ts";
import { AppendedFile } from "./appendedFile.ts";
import type { RunEvent } from "./events.ts";

/** Bytes looked at together for the last line end. */
const BLOCK_BYTES = 65_536;

/** Appends events to a file. */
export class EventLog {
  readonly #file: AppendedFile;

  /**
   * Opens a log.
   * @param path made if absent
   * @param mode `append` to what is there, or `replace` it
   * @throws ParetoError FILE_DISK_FULL, FILE_MISSING, FILE_REFUSED
   */
  constructor(path: string, mode: "append" | "replace" = "append") {
    this.#file = new AppendedFile(path, mode, mode === "append" ? cutTornLine : undefined);
  }

  get path(): string {
    return this.#file.path;
  }

  /** Records an event; never throws. Can be passed on as a callback. */
  readonly append = (event: RunEvent): void => {
    this.#file.append(Buffer.from(`${JSON.stringify(event)}\n`));
  };

  /** Writes what is held back; never throws. */
  flush(): void {
    this.#file.flush();
  }

  /** Writes what is held back and closes. @throws ParetoError FILE_DISK_FULL, FILE_REFUSED when events were lost */
  close(): void {
    this.#file.close();
  }
}

/** Cuts a file behind its last line end. */
function cutTornLine(file: number): void {
  const block = Buffer.alloc(BLOCK_BYTES);
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
