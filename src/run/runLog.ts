/**
 * @file What happens in a run, as its folder keeps it: `events.jsonl`, what policies decide in `decisions.jsonl`, and
 * the figures of both for TensorBoard. Progress is for the eye and is not recorded.
 *
 * A run that goes on from a checkpoint has lost what it did after that; the `resumed` event says so in both files.
 * Readers drop what was lost, so that nothing is counted twice: see {@link continuous}.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { JsonValue } from "../base/jsonFile.ts";
import { EventLog } from "./eventLog.ts";
import type { OnEvent, RunEvent } from "./events.ts";
import { TensorBoardFile } from "./tensorboard.ts";

/** Names of the files in a run's folder. */
export const LOG_FILES = { events: "events.jsonl", decisions: "decisions.jsonl" } as const;

/** Records the events of a run. */
export class RunLog {
  readonly #events: EventLog;
  readonly #decisionsFile: string;
  /** Opened by the first decision. */
  #decisions: EventLog | null = null;
  readonly #tensorBoard: TensorBoardFile;
  #error: unknown = null;

  /** @param config of the run @throws ParetoError FILE_DISK_FULL, FILE_MISSING, FILE_REFUSED */
  constructor(folder: string, config: JsonValue) {
    this.#events = new EventLog(join(folder, LOG_FILES.events));
    this.#decisionsFile = join(folder, LOG_FILES.decisions);
    this.#tensorBoard = new TensorBoardFile(folder, config);
    if (existsSync(this.#decisionsFile)) this.#decisions = new EventLog(this.#decisionsFile);
  }

  /** Records an event; never throws. Can be passed on as a callback. */
  readonly append: OnEvent = (event) => {
    if (event.event === "progress") return;
    try {
      this.#record(event);
    } catch (error) {
      // A file that cannot be made does not stop the run; the error is thrown at its end.
      this.#error ??= error;
    }
  };

  #record(event: RunEvent): void {
    this.#tensorBoard.append(event);
    if (event.event === "decision") {
      this.#decisions ??= new EventLog(this.#decisionsFile);
      this.#decisions.append(event);
      return;
    }
    this.#events.append(event);
    if (event.event === "resumed") this.#decisions?.append(event);
    // What led to a checkpoint is not to be lost by a process that is killed later.
    if (event.event === "span" && event.span === "checkpoint") this.#flush();
  }

  /** Writes what is held back and closes. @throws ParetoError FILE_DISK_FULL, FILE_REFUSED when events were lost */
  close(): void {
    try {
      this.#events.close();
    } finally {
      this.#decisions?.close();
      this.#tensorBoard.close();
    }
    if (this.#error !== null) throw this.#error;
  }

  #flush(): void {
    this.#events.flush();
    this.#decisions?.flush();
    this.#tensorBoard.flush();
  }
}

/** One sequence of events over all resumes: without those of steps that were lost and done again. */
export function continuous(events: Iterable<RunEvent>): RunEvent[] {
  let kept: RunEvent[] = [];
  for (const event of events) {
    if (event.event === "resumed") kept = kept.filter((earlier) => !isDoneAgain(earlier, event.step));
    kept.push(event);
  }
  return kept;
}

/** Whether a run that goes on from this step does an event's work again. A finished run is tested again. */
function isDoneAgain(event: RunEvent, step: number): boolean {
  if (event.event === "metrics" && event.part === "test") return true;
  return "step" in event && event.step > step;
}
