/**
 * @file A log of events: one JSON text a line, appended while the work goes on. A process that is killed may leave a
 * torn last line: readers skip it and the next writer cuts it off.
 */
import { createReadStream, fstatSync, ftruncateSync, readSync } from "node:fs";
import { stat } from "node:fs/promises";
import { fileError, noFile } from "../base/fileErrors.ts";
import { parseJson, type JsonFormat } from "../base/jsonFile.ts";
import { AppendedFile } from "./appendedFile.ts";
import type { RunEvent } from "./events.ts";
import { eventLine } from "./eventSchema.ts";

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

const lineFormat: JsonFormat<RunEvent | null> = {
  noun: "event log",
  schema: eventLine,
  codes: { damaged: "RUN_INVALID" },
  fix: "Remove the line; what it said is missing then.",
};

/**
 * The events of a log, in order; a torn last line is skipped, as are events of kinds that a newer Pareto knows.
 * @throws ParetoError FILE_MISSING, FILE_REFUSED, RUN_INVALID for a line that is damaged, by its number
 */
export async function* readEvents(path: string): AsyncGenerator<RunEvent> {
  let number = 0;
  for await (const { text, isWhole } of linesOf(path)) {
    number++;
    if (text.trim() === "") continue;
    let event: RunEvent | null;
    try {
      event = parseJson(lineFormat, `${path}:${number}`, text);
    } catch (error) {
      if (isWhole) throw error;
      return;
    }
    if (event) yield event;
  }
}

/** Lines, and whether each has its line end. Not those of `readline`, which also end at U+2028, as JSON's do not. */
async function* linesOf(path: string): AsyncGenerator<{ text: string; isWhole: boolean }> {
  try {
    const found = await stat(path);
    if (!found.isFile()) throw noFile(path, found);
    let rest: Uint8Array[] = [];
    for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
      let from = 0;
      for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
        yield { text: Buffer.concat([...rest, chunk.subarray(from, end)]).toString(), isWhole: true };
        rest = [];
        from = end + 1;
      }
      if (from < chunk.length) rest.push(chunk.subarray(from));
    }
    if (rest.length > 0) yield { text: Buffer.concat(rest).toString(), isWhole: false };
  } catch (error) {
    throw fileError(error, path);
  }
}
