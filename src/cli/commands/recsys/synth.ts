/** @file `pareto recsys synth`: a click log with planted truth. */
import type { Command } from "commander";
import { synthClicks } from "../../../recsys/data/synth/clicks.ts";
import type { SynthPresetName } from "../../../recsys/data/synth/presets.ts";
import { formatCount, formatFixed, formatBytes, formatShare } from "../../../base/format.ts";
import { newCommand, withOutput, type CommonFlags } from "../../command.ts";
import { oneOf, wholeNumber } from "../../options/values.ts";

interface Flags extends CommonFlags {
  rows: number;
  preset: SynthPresetName;
  out: string;
  seed: number;
  drift: number;
  overwrite: boolean;
}

/** The command. */
export function command(): Command {
  return newCommand("synth", "Make a click log: skewed accesses, and clicks drawn from known probabilities.")
    .option("--rows <n>", "rows to make", wholeNumber("--rows", 1, 1_000_000_000), 1_000_000)
    .option(
      "--preset <name>",
      "tables and columns: small (26 tables, 0.3 M rows), kaggle (26 tables, 33.8 M rows), avazu (21 tables, 9.4 M rows)",
      oneOf("--preset", ["small", "kaggle", "avazu"]),
      "small",
    )
    .requiredOption("--out <file>", "the Parquet file to write")
    .option("--seed <n>", "same seed, same log", wholeNumber("--seed", 0), 1)
    .option(
      "--drift <n>",
      "times that popularity moves to other values over the log",
      wholeNumber("--drift", 0),
      0,
    )
    .option("--overwrite", "replace a file that exists", false)
    .action((flags: Flags) =>
      withOutput(flags, async (out) => {
        const { out: file, rows, preset, seed, drift, overwrite } = flags;
        const made = await synthClicks({
          file,
          rows,
          preset,
          seed,
          drift,
          overwrite,
          onProgress: (done, total, unit) =>
            out.onEvent({ event: "progress", task: "write", done, total, unit, rate: null }),
        });
        out.result(
          `${file}: ${formatCount(made.rows)} rows, ${formatBytes(made.bytes)}, ${formatShare(made.ctr)} clicks; best possible AUC ${formatFixed(made.bayes.auc)} (last fifth ${formatFixed(made.bayesLastFifth.auc)})`,
        );
        out.json({ event: "done", ...made });
      }),
    );
}
