/**
 * @file Draws progress on a terminal as one live line (task, bar, percent, rate, time left, loss), and elsewhere
 * as plain lines, at most one every five seconds. Writes to one stream only, normally stderr.
 */
import { formatCount, formatFixed, formatRate, formatSeconds, formatShare } from "../base/format.ts";
import { visibleText } from "../base/visibleText.ts";
import type { ProgressEvent } from "../run/events.ts";

/** The little of a stream that is needed, so that tests can stand in. */
export interface TextStream {
  write(text: string): unknown;
  isTTY?: boolean;
  columns?: number;
}

/** How to draw. */
export interface ProgressOptions {
  stream: TextStream;
  /** Whether a line may be drawn over; false writes plain lines. */
  live: boolean;
  color: boolean;
  /** Milliseconds, rising; defaults to `performance.now`. */
  now?: () => number;
}

/** A live line is drawn at most this often. */
const LIVE_INTERVAL_MS = 100;
/** Plain lines come at most this often. */
const PLAIN_INTERVAL_MS = 5000;
const BAR_CELLS = 24;
const CLEAR = "\r\u001b[2K";

/** Texts of an event, by falling importance. */
interface Parts {
  task: string;
  share: number | null;
  facts: string[];
}

const valueText = (value: number | string): string =>
  typeof value === "string"
    ? visibleText(value)
    : Number.isInteger(value)
      ? formatCount(value)
      : formatFixed(value);

/** Draws {@link ProgressEvent}s, and passes other lines through without tearing the live one. */
export class ProgressLine {
  readonly #options: ProgressOptions;
  readonly #now: () => number;
  #drawnAt = Number.NEGATIVE_INFINITY;
  #shown = "";
  #task = "";
  #taskStart = 0;
  #taskFirst = 0;
  /** Whether the running task has had a plain line, so that its end deserves one too. */
  #announced = false;

  constructor(options: ProgressOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** Takes a progress event; `extra` are further values to show, e.g. the latest validation AUC. */
  update(event: ProgressEvent, extra: Record<string, number | string> = {}): void {
    const now = this.#now();
    if (event.task !== this.#task) {
      this.#task = event.task;
      this.#taskStart = now;
      this.#taskFirst = event.done;
      this.#announced = false;
    }
    const finished = event.total !== null && event.done >= event.total;
    const interval = this.#options.live ? LIVE_INTERVAL_MS : PLAIN_INTERVAL_MS;
    if (now - this.#drawnAt < interval && !(finished && (this.#options.live || this.#announced))) return;
    this.#drawnAt = now;
    const parts = this.#parts(event, extra, now);
    if (this.#options.live) this.#drawLive(parts);
    else this.#drawPlain(parts);
    // A task may report its end more than once; one line is enough.
    this.#announced = !finished;
  }

  /** Writes a whole line above the live one; what steers a terminal in it is the caller's. */
  line(text: string): void {
    const { stream } = this.#options;
    if (this.#shown === "") {
      stream.write(`${text}\n`);
      return;
    }
    stream.write(`${CLEAR}${text}\n${this.#shown}`);
  }

  /** Removes the live line; the next event draws it again. */
  clear(): void {
    if (this.#shown !== "") this.#options.stream.write(CLEAR);
    this.#shown = "";
    this.#drawnAt = Number.NEGATIVE_INFINITY;
  }

  #parts(event: ProgressEvent, extra: Record<string, number | string>, now: number): Parts {
    const { done, total, values = {} } = event;
    const unit = visibleText(event.unit);
    const seconds = (now - this.#taskStart) / 1000;
    const rate = event.rate ?? (seconds > 0.5 ? (done - this.#taskFirst) / seconds : null);
    const facts = [
      total === null ? `${formatCount(done)} ${unit}` : `${formatCount(done)}/${formatCount(total)} ${unit}`,
    ];
    if (rate !== null && rate > 0) {
      facts.push(formatRate(rate, unit));
      if (total !== null && done < total) facts.push(`ETA ${formatSeconds((total - done) / rate)}`);
    }
    for (const [name, value] of Object.entries({ ...values, ...extra }))
      facts.push(`${visibleText(name)} ${valueText(value)}`);
    return {
      task: visibleText(event.task),
      share: total === null || total === 0 ? null : Math.min(1, done / total),
      facts,
    };
  }

  #drawLive({ task, share, facts }: Parts): void {
    const { stream, color } = this.#options;
    const width = Math.max(20, (stream.columns ?? 80) - 1);
    const head = `${task.padEnd(10)} `;
    const cells = width < 40 ? 0 : width < 70 ? 10 : BAR_CELLS;
    const full = Math.round((share ?? 0) * cells);
    const percent = share === null ? "" : ` ${formatShare(share, 0).padStart(5)}`;
    let room = width - head.length - percent.length - (share === null ? 0 : cells);
    const tail: string[] = [];
    // What does not fit is left out from the end, whole facts at a time.
    for (const fact of facts) {
      room -= fact.length + 2;
      if (room < 0) break;
      tail.push(`  ${fact}`);
    }
    const bar = share === null ? "" : "█".repeat(full) + "░".repeat(cells - full);
    const painted = color ? `\u001b[36m${bar}\u001b[0m` : bar;
    this.#shown = `${head}${painted}${percent}${tail.join("")}`;
    stream.write(`${CLEAR}${this.#shown}`);
  }

  #drawPlain({ task, share, facts }: Parts): void {
    const percent = share === null ? [] : [formatShare(share, 0)];
    this.#options.stream.write(`${task}: ${[...percent, ...facts].join(", ")}\n`);
  }
}
