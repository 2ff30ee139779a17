/**
 * @file All that the command line writes: results, progress, warnings and errors.
 *
 * Without `--json`, results go to stdout and everything else to stderr. With it, stdout holds JSON lines only
 * (events, then the `done` or `error` line) and every human text goes to stderr. `--quiet` leaves results,
 * warnings and errors. Colours are used on terminals unless `NO_COLOR` is set. What steers a terminal, in names and
 * values from outside, is written as escapes (`visibleText.ts`); JSON lines keep their values.
 */
import { ParetoError } from "../base/errors.ts";
import type { OnEvent, RunEvent } from "../run/events.ts";
import { visibleJson, visibleLines, visibleText } from "../base/visibleText.ts";
import { ProgressLine, type TextStream } from "./progress.ts";

/** How to write. */
export interface OutputOptions {
  json: boolean;
  quiet: boolean;
  /** Defaults to the process's own streams and environment. */
  stdout?: TextStream;
  stderr?: TextStream;
  env?: Record<string, string | undefined>;
  /** Milliseconds, rising; defaults to `performance.now`. */
  now?: () => number;
}

/** In JSON lines, progress of a task is written at most this often. */
const JSON_PROGRESS_MS = 1000;

const width = (text: string): number => [...text].length;

/**
 * Aligned columns as text without a final line break. The first column is flush left, the others flush right,
 * unless `align` says otherwise.
 */
export function formatTable(
  titles: readonly string[],
  values: readonly (readonly string[])[],
  align: readonly ("left" | "right")[] = [],
): string {
  const head = titles.map(visibleText);
  const rows = values.map((cells) => cells.map(visibleText));
  const widths = head.map((title, c) => Math.max(width(title), ...rows.map((row) => width(row[c] ?? ""))));
  const line = (cells: readonly string[]): string =>
    widths
      .map((size, c) => {
        const text = cells[c] ?? "";
        const space = " ".repeat(size - width(text));
        return (align[c] ?? (c === 0 ? "left" : "right")) === "left" ? text + space : space + text;
      })
      .join("  ")
      .trimEnd();
  return [line(head), widths.map((size) => "─".repeat(size)).join("  "), ...rows.map(line)].join("\n");
}

/** The exit status of a failure: 2 for what the user can put right, 1 for a defect of Pareto. */
export function exitStatus(error: unknown): number {
  return error instanceof ParetoError ? 2 : 1;
}

/** The JSON line of a failure. */
function errorEvent(error: unknown): Record<string, unknown> {
  if (error instanceof ParetoError) return { event: "error", ...error.toJSON() };
  return {
    event: "error",
    code: "INTERNAL",
    where: "pareto",
    message: error instanceof Error ? error.message : String(error),
    fix: "This is a defect of Pareto: please report it with the command and this message.",
  };
}

/** A failure for people: what, where, and what to do about it; the stack of a defect. */
function errorText(error: unknown, paint: (text: string, color: number) => string): string {
  const { code, where, message, fix } = errorEvent(error) as Record<
    "code" | "where" | "message" | "fix",
    string
  >;
  const lines = [
    `${paint(`error ${visibleText(code)}:`, 31)} ${visibleText(message)}`,
    `  where  ${visibleText(where)}`,
    `  fix    ${visibleText(fix)}`,
  ];
  if (!(error instanceof ParetoError) && error instanceof Error && error.stack !== undefined)
    lines.push(visibleLines(error.stack));
  return lines.join("\n");
}

/** The writer of one command. */
export class Output {
  readonly #json: boolean;
  readonly #quiet: boolean;
  readonly #stdout: TextStream;
  readonly #color: boolean;
  readonly #progress: ProgressLine;
  readonly #now: () => number;
  readonly #writtenAt = new Map<string, number>();
  #validation: Record<string, number> = {};

  constructor(options: OutputOptions) {
    const stderr = options.stderr ?? process.stderr;
    const env = options.env ?? process.env;
    const terminal = stderr.isTTY === true && env["TERM"] !== "dumb";
    this.#json = options.json;
    this.#quiet = options.quiet;
    this.#stdout = options.stdout ?? process.stdout;
    this.#color = terminal && (env["NO_COLOR"] ?? "") === "";
    this.#now = options.now ?? (() => performance.now());
    this.#progress = new ProgressLine({ stream: stderr, live: terminal, color: this.#color, now: this.#now });
  }

  /** Whether results are JSON lines. */
  get isJson(): boolean {
    return this.#json;
  }

  /** Receives the events of a run; pass it on as `onEvent`. */
  readonly onEvent: OnEvent = (event) => {
    if (this.#json && !this.#tooSoon(event)) this.#jsonLine(event);
    if (event.event === "notice") {
      const message = visibleText(event.message);
      if (event.level === "warning") this.#progress.line(`${this.#paint("warning:", 33)} ${message}`);
      else this.info(message);
    } else if (event.event === "metrics" && event.part === "validation") {
      if (event.auc !== undefined) this.#validation = { "val AUC": event.auc };
      if (event.macroF1 !== undefined) this.#validation = { "val F1": event.macroF1 };
    } else if (event.event === "progress" && !this.#quiet) {
      this.#progress.update(event, event.task === "train" ? this.#validation : {});
    }
  };

  /** Says something on the way; stderr, unless quiet. */
  info(text: string): void {
    if (!this.#quiet) this.#progress.line(visibleLines(text));
  }

  /** Writes text that the user asked for: stdout, or stderr with `--json`. */
  result(text: string): void {
    if (this.#json) {
      this.#progress.line(visibleLines(text));
      return;
    }
    this.#progress.clear();
    this.#stdout.write(`${visibleLines(text)}\n`);
  }

  /** Writes one JSON line with `--json`, e.g. the command's last `{ event: "done", … }`; else nothing. */
  json(event: { event: string } & Record<string, unknown>): void {
    if (this.#json) this.#jsonLine(event);
  }

  /** Writes a failure: for people on stderr, with `--json` as the last line of stdout too. */
  error(error: unknown): void {
    this.#progress.clear();
    this.#progress.line(errorText(error, (text, color) => this.#paint(text, color)));
    if (this.#json) this.#jsonLine(errorEvent(error));
  }

  /** Removes the live line; call when the command ends. */
  close(): void {
    this.#progress.clear();
  }

  #tooSoon(event: RunEvent): boolean {
    if (event.event !== "progress" || event.done === event.total) return false;
    const now = this.#now();
    if (now - (this.#writtenAt.get(event.task) ?? Number.NEGATIVE_INFINITY) < JSON_PROGRESS_MS) return true;
    this.#writtenAt.set(event.task, now);
    return false;
  }

  #jsonLine(value: object): void {
    this.#stdout.write(`${visibleJson(value)}\n`);
  }

  #paint(text: string, color: number): string {
    return this.#color ? `\u001b[${color}m${text}\u001b[0m` : text;
  }
}
