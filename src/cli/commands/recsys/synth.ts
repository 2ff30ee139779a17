/** @file `pareto recsys synth`: a click log with planted truth. */
import { synthClicks } from "../../../recsys/data/synth/clicks.ts";
import { wholeNumber } from "../../../base/optionSchemas.ts";
import { formatCount, formatFixed, formatBytes, formatShare } from "../../../base/format.ts";
import { defineCommand } from "../../command.ts";
import { keepingNothing } from "../../interrupt.ts";
import { flag, listWords, option, required, text, words } from "../../options/spec.ts";

const PRESETS = {
  small: "26 tables, 0.3 M rows",
  kaggle: "26 tables, 33.8 M rows",
  avazu: "21 tables, 9.4 M rows",
} as const;

/** The command. */
export const command = defineCommand({
  summary: "Make a click log: skewed accesses, and clicks drawn from known probabilities.",
  operands: {},
  options: {
    out: required("file", text, { meaning: "Parquet file to write", writes: "file" }),
    rows: option("n", wholeNumber({ min: 1, max: 1_000_000_000 }), {
      meaning: "Rows to make",
      default: 1_000_000,
    }),
    preset: option("name", words(PRESETS), {
      meaning: `Embedding tables and their rows: ${listWords(PRESETS)}`,
      default: "small",
    }),
    seed: option("n", wholeNumber({ min: 0 }), {
      meaning: "Seed; the same seed makes the same log",
      default: 1,
    }),
    drift: option("n", wholeNumber({ min: 0 }), {
      meaning: "Times that popularity moves to other values over the log",
      default: 0,
    }),
    overwrite: flag("Replace a file that exists"),
  },
  async run(out, { values }) {
    const { out: file, rows, preset, seed, drift, overwrite } = values;
    const made = await keepingNothing((signal) =>
      synthClicks({
        file,
        rows,
        preset,
        seed,
        drift,
        overwrite,
        signal,
        onProgress: (done, total, unit) =>
          out.onEvent({ event: "progress", task: "write", done, total, unit, rate: null }),
      }),
    );
    out.result(
      `${file}: ${formatCount(made.rows)} rows, ${formatBytes(made.bytes)}, ${formatShare(made.ctr)} clicks; best possible AUC ${formatFixed(made.bayes.auc)} (last fifth ${formatFixed(made.bayesLastFifth.auc)})`,
    );
    out.json({ event: "done", ...made });
  },
});
