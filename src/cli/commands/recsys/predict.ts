/** @file `pareto recsys predict`: a source's rows with the probability beside them. */
import type { Command } from "commander";
import { writePredictions } from "../../../recsys/data/encode/predictions.ts";
import { predictProbabilities } from "../../../recsys/training/evaluate.ts";
import { formatCount } from "../../../base/format.ts";
import { newCommand, withOutput, type CommonFlags } from "../../command.ts";
import { deviceOption, threadsOption, type ComputeFlags } from "../../options/compute.ts";
import { withModelOn } from "./modelOnSource.ts";
import { readOptions, type ReadFlags } from "../../options/source.ts";

interface Flags extends ReadFlags, CommonFlags, ComputeFlags {
  out: string;
}

/** The command. */
export function command(): Command {
  const command = newCommand(
    "predict",
    "Write a source's rows, in their order, with the model's probability as a further column.",
  )
    .argument("<run>", "the run's folder")
    .argument("<source...>", "files, folders or globs, with the columns that the model was trained on")
    .requiredOption("--out <file>", "the file to write: .parquet, .csv, .tsv or .ndjson, also with .gz")
    .addOption(threadsOption())
    .addOption(deviceOption());
  return readOptions(command).action((run: string, paths: string[], flags: Flags) =>
    withOutput(flags, (out) =>
      withModelOn(out, run, paths, { ...flags, labels: "ignored" }, async ({ source, dataset, network }) => {
        const probabilities = predictProbabilities(network, dataset, (done) =>
          out.onEvent({
            event: "progress",
            task: "predict",
            done,
            total: dataset.rows,
            unit: "rows",
            rate: null,
          }),
        );
        const rows = await writePredictions(source, probabilities, flags.out);
        out.result(`${flags.out}: ${formatCount(rows)} rows`);
        out.json({ event: "done", run, file: flags.out, rows });
      }),
    ),
  );
}
