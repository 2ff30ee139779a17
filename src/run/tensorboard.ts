/**
 * @file The figures of a run for TensorBoard, in an event file of its own beside the run's log: `tensorboard --logdir
 * runs` shows scalars such as `train/log_loss` and `validation/auc` by step and by time, and the configuration as text.
 * Each process that works on a run writes a file; a resumed one tells TensorBoard to drop what was lost.
 */
import { hostname } from "node:os";
import { join } from "node:path";
import type { JsonValue } from "../base/jsonFile.ts";
import { AppendedFile } from "./appendedFile.ts";
import type { MetricsEvent, RunEvent } from "./events.ts";
import type { DecisionEvent } from "./policies/decision.ts";
import { encodeRecord, type SummaryValue } from "./tfRecord.ts";

const now = (): number => Date.now() / 1000;

/** Writes a run's scalars. The file is made by the first of them. */
export class TensorBoardFile {
  readonly #folder: string;
  readonly #config: JsonValue;
  #file: AppendedFile | null = null;
  /** The first step that is not to be shown of what earlier processes wrote. */
  #sessionStart: number | null = null;

  /** @param config of the run */
  constructor(folder: string, config: JsonValue) {
    this.#folder = folder;
    this.#config = config;
  }

  /** Takes an event of the run. @throws ParetoError FILE_DISK_FULL, FILE_REFUSED when the file cannot be made */
  append(event: RunEvent): void {
    if (event.event === "resumed") this.#sessionStart = event.step + 1;
    const values = valuesOf(event);
    if (values.length === 0) return;
    this.#file ??= this.#open();
    const { step } = event as MetricsEvent | DecisionEvent;
    this.#file.append(encodeRecord({ wallTime: now(), step, content: "summary", values }));
  }

  /** Writes what is held back; never throws. */
  flush(): void {
    this.#file?.flush();
  }

  /** Writes what is held back and closes. @throws ParetoError FILE_DISK_FULL, FILE_REFUSED when bytes were lost */
  close(): void {
    this.#file?.close();
  }

  #open(): AppendedFile {
    // Later files sort behind earlier ones, as TensorBoard reads them.
    const file = new AppendedFile(join(this.#folder, `events.out.tfevents.${Date.now()}.${hostname()}`));
    const wallTime = now();
    file.append(encodeRecord({ wallTime, content: "version" }));
    const text = `    ${JSON.stringify(this.#config, null, 2).replaceAll("\n", "\n    ")}`;
    const values = [{ tag: "config/text_summary", text }];
    file.append(encodeRecord({ wallTime, content: "summary", values }));
    const step = this.#sessionStart;
    if (step !== null) file.append(encodeRecord({ wallTime, step, content: "sessionStart" }));
    return file;
  }
}

/** `macroF1` as `macro_f1`. */
const snakeCase = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

function scalars(prefix: string, figures: Readonly<Record<string, unknown>>): SummaryValue[] {
  return Object.entries(figures).flatMap(([name, value]) =>
    typeof value === "number" ? [{ tag: `${prefix}/${snakeCase(name)}`, scalar: value }] : [],
  );
}

function valuesOf(event: RunEvent): SummaryValue[] {
  if (event.event === "decision") return scalars(event.kind, event.chose as Record<string, unknown>);
  if (event.event !== "metrics") return [];
  const { part, epoch, seconds, step: _, event: __, groups = {}, ...figures } = event;
  return [
    ...scalars(part, figures),
    ...Object.entries(groups).flatMap(([name, quality]) => scalars(`${part}/${name}`, quality)),
    ...scalars("run", part === "validation" ? { epoch, trainSeconds: seconds } : {}),
  ];
}
