/** @file `pareto recsys predict`: a source's rows with the probability beside them. */
import { requirePredictionFormat, writePredictions } from "../../../recsys/data/encode/predictions.ts";
import { predictProbabilities } from "../../../recsys/training/evaluate.ts";
import { formatCount } from "../../../base/format.ts";
import { defineCommand } from "../../command.ts";
import { computeOptions } from "../../options/compute.ts";
import { readOptions } from "../../options/source.ts";
import { required, text } from "../../options/spec.ts";
import { modelOperands, withModelOn } from "./modelOnSource.ts";

/** The command. */
export const command = defineCommand({
  summary: "Write a source's rows, in their order, with the model's probability as a further column.",
  operands: modelOperands,
  options: {
    out: required("file", text, {
      meaning: "File to write: .parquet, .csv, .tsv or .ndjson, also with .gz",
      writes: "file",
    }),
    ...readOptions,
    ...computeOptions,
  },
  run(out, { values }) {
    requirePredictionFormat(values.out);
    return withModelOn(out, { ...values, labels: "ignored" }, async ({ source, dataset, network }) => {
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
      const rows = await writePredictions(source, probabilities, values.out);
      out.result(`${values.out}: ${formatCount(rows)} rows`);
      out.json({ event: "done", run: values.run, file: values.out, rows });
    });
  },
});
