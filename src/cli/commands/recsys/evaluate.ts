/** @file `pareto recsys evaluate`: the quality of a trained model on other data. */
import type { Command } from "commander";
import { evaluate } from "../../../recsys/training/evaluate.ts";
import { formatCount, formatFixed } from "../../../base/format.ts";
import { newCommand, withOutput, type CommonFlags } from "../../command.ts";
import { deviceOption, threadsOption, type ComputeFlags } from "../../options/compute.ts";
import { withModelOn } from "./modelOnSource.ts";
import { readOptions, type ReadFlags } from "../../options/source.ts";

type Flags = ReadFlags & CommonFlags & ComputeFlags;

/** The command. */
export function command(): Command {
  const command = newCommand("evaluate", "AUC, log loss and accuracy of a trained model on labelled data.")
    .argument("<run>", "the run's folder")
    .argument("<source...>", "files, folders or globs, with the columns that the model was trained on")
    .addOption(threadsOption())
    .addOption(deviceOption());
  return readOptions(command).action((run: string, paths: string[], flags: Flags) =>
    withOutput(flags, (out) =>
      withModelOn(out, run, paths, { ...flags, labels: "required" }, async ({ dataset, network }) => {
        const { auc, logLoss, accuracy, calibrationError, rows } = await evaluate(network, dataset, {
          onProgress: (done) =>
            out.onEvent({
              event: "progress",
              task: "evaluate",
              done,
              total: dataset.rows,
              unit: "rows",
              rate: null,
            }),
        });
        out.result(
          `AUC ${formatFixed(auc)}, log loss ${formatFixed(logLoss)}, accuracy ${formatFixed(accuracy)}, calibration error ${formatFixed(calibrationError)} on ${formatCount(rows)} rows`,
        );
        out.json({ event: "done", run, auc, logLoss, accuracy, calibrationError, rows });
      }),
    ),
  );
}
