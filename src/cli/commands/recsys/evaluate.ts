/** @file `pareto recsys evaluate`: the quality of a trained model on other data. */
import { evaluate } from "../../../recsys/training/evaluate.ts";
import { formatCount, formatFixed } from "../../../base/format.ts";
import { defineCommand } from "../../command.ts";
import { computeOptions } from "../../options/compute.ts";
import { readOptions } from "../../options/source.ts";
import { modelOperands, withModelOn } from "./modelOnSource.ts";

/** The command. */
export const command = defineCommand({
  summary: "AUC, log loss and accuracy of a trained model on labelled data.",
  operands: modelOperands,
  options: { ...readOptions, ...computeOptions },
  run: (out, { values }) =>
    withModelOn(out, { ...values, labels: "required" }, async ({ dataset, network }) => {
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
      out.json({ event: "done", run: values.run, auc, logLoss, accuracy, calibrationError, rows });
    }),
});
