/**
 * @file Makes a synthetic click log with planted truth: checks the options, draws and writes the rows, and
 * returns what the best possible model reaches, which is also kept in the file's metadata (`pareto.*` keys).
 * Memory is bounded whatever the number of rows.
 */
import { mkdtemp, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { makeFolder } from "../../../base/makeFolder.ts";
import { ParetoError } from "../../../base/errors.ts";
import { holdTemporary } from "../../../base/temporaryPaths.ts";
import { wrapDuckdbError } from "../source/duckdbErrors.ts";
import { firstLine } from "../../../base/fileErrors.ts";
import { BayesMeter, type BayesQuality } from "./bayes.ts";
import { type ClickBlock, ClickGenerator } from "./generator.ts";
import { type SynthPresetName, synthPresets } from "./presets.ts";
import { writeLog } from "./writeLog.ts";

/** What to make. */
export interface SynthClicksOptions {
  /** The Parquet file to write; it must not exist unless `overwrite`. */
  file: string;
  /** Rows, 1 to 10⁹. */
  rows: number;
  /** Table sizes and column names. */
  preset: SynthPresetName;
  /** Any safe integer; the same seed and options make the same rows. Defaults to 1. */
  seed?: number;
  /** Exponent of the Zipf law of popularity, 0 to 3. Defaults to 1.05. */
  skew?: number;
  /** Mean click probability, between 0 and 1. Defaults to 0.28. */
  clickRate?: number;
  /** How many times, evenly over the log, popularity moves to other values. Defaults to 0. */
  drift?: number;
  /** Whether an existing file is replaced. Defaults to false. */
  overwrite?: boolean;
  /** Threads that DuckDB may use. Defaults to one a core, at most four. */
  threads?: number;
  /** Called now and then; `unit` is `rows`. */
  onProgress?: (done: number, total: number, unit: string) => void;
  /** Ends the work; nothing is left behind. */
  signal?: AbortSignal;
}

/** What was made. */
export interface SynthClicksResult {
  file: string;
  rows: number;
  /** Share of rows with label 1. */
  ctr: number;
  /** Quality of the true probabilities over all rows. */
  bayes: BayesQuality;
  /** The same over the last fifth of the rows: the test part of a 70/10/20 split in time order. */
  bayesLastFifth: BayesQuality;
  /** Size of the file. */
  bytes: number;
}

const MAX_ROWS = 1_000_000_000;
/** Rows between two progress events; a multiple of the block. */
const PROGRESS_ROWS = 65_536;

/** @throws ParetoError SYNTH_OPTION when a number is outside its range */
function checkRange(name: string, value: number, low: number, high: number, whole: boolean): void {
  if (value >= low && value <= high && (!whole || Number.isInteger(value))) return;
  throw new ParetoError({
    code: "SYNTH_OPTION",
    where: `synth clicks, ${name}`,
    message: `${name} must be ${whole ? "a whole number" : "a number"} from ${low} to ${high}, got ${value}`,
    fix: `Pass ${name} within that range.`,
  });
}

/** Counts clicks and quality over the whole log and over its last fifth. */
class LogMeter {
  readonly #whole = new BayesMeter();
  readonly #lastFifth = new BayesMeter();
  readonly #testStart: number;
  #clicks = 0;
  #rows = 0;

  constructor(rows: number) {
    this.#testStart = Math.ceil(rows * 0.8);
  }

  add(block: ClickBlock): void {
    const { logits, labels, size } = block;
    this.#whole.add(logits, labels, 0, size);
    const from = Math.min(Math.max(this.#testStart - this.#rows, 0), size);
    this.#lastFifth.add(logits, labels, from, size);
    for (let i = 0; i < size; i++) this.#clicks += labels[i]!;
    this.#rows += size;
  }

  result(): Pick<SynthClicksResult, "ctr" | "bayes" | "bayesLastFifth"> {
    return {
      ctr: this.#clicks / this.#rows,
      bayes: this.#whole.quality(),
      bayesLastFifth: this.#lastFifth.quality(),
    };
  }
}

/** The metadata of the file. */
function describe(
  made: { preset: string; seed: number; skew: number; drift: number },
  found: ReturnType<LogMeter["result"]>,
): Record<string, string> {
  const { bayes, bayesLastFifth: last } = found;
  const entries = {
    ...made,
    ctr: found.ctr,
    bayes_auc: bayes.auc,
    bayes_log_loss: bayes.logLoss,
    bayes_accuracy: bayes.accuracy,
    bayes_auc_last_fifth: last.auc,
    bayes_log_loss_last_fifth: last.logLoss,
    bayes_accuracy_last_fifth: last.accuracy,
  };
  return Object.fromEntries(Object.entries(entries).map(([key, value]) => [`pareto.${key}`, String(value)]));
}

/**
 * Makes a click log with Zipf popularity and planted truth.
 *
 * @throws ParetoError SYNTH_OPTION when an option is outside its range, SYNTH_FILE_EXISTS when the file exists,
 *   SYNTH_WRITE when the folder refuses, FILE_DISK_FULL, DUCKDB_MISSING
 */
export async function synthClicks(options: SynthClicksOptions): Promise<SynthClicksResult> {
  const { rows, preset: presetName, seed = 1, skew = 1.05, clickRate = 0.28, drift = 0 } = options;
  checkRange("rows", rows, 1, MAX_ROWS, true);
  checkRange("seed", seed, 0, Number.MAX_SAFE_INTEGER, true);
  checkRange("skew", skew, 0, 3, false);
  checkRange("clickRate", clickRate, 0.001, 0.999, false);
  checkRange("drift", drift, 0, 1000, true);
  const preset = synthPresets[presetName];
  if (preset === undefined) {
    throw new ParetoError({
      code: "SYNTH_OPTION",
      where: "synth clicks, preset",
      message: `preset must be one of ${Object.keys(synthPresets).join(", ")}, got ${String(presetName)}`,
      fix: "Pass one of these presets.",
    });
  }
  const file = resolve(options.file);
  if (options.overwrite !== true && (await stat(file).catch(() => null)) !== null) {
    throw new ParetoError({
      code: "SYNTH_FILE_EXISTS",
      where: file,
      message: `the output file exists already, got ${options.file}`,
      fix: "Choose another file name, or remove the file first.",
    });
  }
  const generator = new ClickGenerator({ preset, rows, seed, skew, clickRate, drift });
  const meter = new LogMeter(rows);
  let scratch: string | null = null;
  let release = () => {};
  try {
    await makeFolder(dirname(file));
    scratch = await mkdtemp(join(dirname(file), `.${basename(file)}.`));
    release = holdTemporary(scratch);
    const whole = join(scratch, "log.parquet");
    await writeLog({
      generator,
      preset,
      scratch,
      file: whole,
      threads: options.threads ?? null,
      ...(options.signal && { signal: options.signal }),
      onBlock(block, done) {
        meter.add(block);
        if (done % PROGRESS_ROWS === 0) options.onProgress?.(done, rows, "rows");
      },
      metadata: () => describe({ preset: presetName, seed, skew, drift }, meter.result()),
    });
    const { size: bytes } = await stat(whole);
    await rename(whole, file);
    options.onProgress?.(rows, rows, "rows");
    return { file, rows, ...meter.result(), bytes };
  } catch (cause) {
    options.signal?.throwIfAborted();
    const known = wrapDuckdbError(cause, file);
    if (known.code !== "DATA_READ") throw known;
    throw new ParetoError({
      code: "SYNTH_WRITE",
      where: file,
      message: `the log could not be written, got "${firstLine(cause)}"`,
      fix: "Check that the path is right and that its folder may be written to.",
      cause,
    });
  } finally {
    if (scratch !== null) await rm(scratch, { recursive: true, force: true });
    release();
  }
}
