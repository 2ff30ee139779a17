/** @file `pareto protein evaluate`: the quality of a trained protein model on other labelled sequences. */
import { availableParallelism } from "node:os";
import { formatCount, formatFixed } from "../../../base/format.ts";
import { decimal, wholeNumber } from "../../../base/optionSchemas.ts";
import { evaluateProteinModel, type UnknownShare } from "../../../protein/evaluateModel.ts";
import { loadProteinNetwork, openProteinModel } from "../../../protein/savedModel.ts";
import { defineCommand } from "../../command.ts";
import { computeOptions } from "../../options/compute.ts";
import { operand, option, pathList, text } from "../../options/spec.ts";
import { familyFromOption } from "./familyFrom.ts";

const share = (value: number): string => `${(100 * value).toFixed(1)} %`;
const count = ({ sequences, families }: UnknownShare): string =>
  `${formatCount(sequences)} sequences of ${formatCount(families)} families`;

/** The command. */
export const command = defineCommand({
  summary:
    "Accuracy, macro-F1 and the share of unknown sequences of a trained protein model on labelled sequences. As in training, each distinct sequence counts once, and a long one by the residues that the model reads first.",
  operands: {
    model: operand("model", text, { meaning: "Run of `protein train`, or a saved model" }),
    source: operand("source", pathList, {
      meaning: "FASTA files, or folders of them, plain or compressed; one family a file",
      rest: true,
    }),
  },
  options: {
    familyFrom: familyFromOption,
    minProb: option("p", decimal({ above: 0, max: 1 }), {
      meaning: "Probability below which a sequence is unknown",
      defaultText: "the model's own threshold",
    }),
    batch: option("n", wholeNumber({ min: 1, max: 65_536 }), {
      meaning: "Sequences computed together",
      default: 128,
    }),
    ...computeOptions,
  },
  async run(out, { values }) {
    const folder = await openProteinModel(values.model);
    const { config } = folder;
    const threads = Math.min(values.threads, availableParallelism());
    const { device, batch: batchSize } = values;
    const network = await loadProteinNetwork(folder, { device, threads, batchSize });
    try {
      const { metrics, threshold, known, others } = await evaluateProteinModel(network, config, {
        paths: values.source,
        familyFrom: values.familyFrom,
        ...(values.minProb !== undefined && { threshold: values.minProb }),
        onNotice: (message) =>
          out.onEvent({ event: "notice", level: "warning", code: "PROTEIN_DATA", message }),
        onProgress: (done, total) =>
          out.onEvent({ event: "progress", task: "evaluate", done, total, unit: "sequences", rate: null }),
      });
      const { classes: _, confusions: __, rows: ___, ...figures } = metrics;
      const { accuracy, macroF1, weightedF1, top3, calibrationError } = figures;
      out.result(
        [
          `accuracy ${formatFixed(accuracy)}, macro-F1 ${formatFixed(macroF1)}, weighted F1 ${formatFixed(weightedF1)}, top-3 ${formatFixed(top3)}, calibration error ${formatFixed(calibrationError)} on ${count(known)}`,
          `unknown  ${share(known.unknown)} of them, below a probability of ${formatFixed(threshold)}`,
          ...(others === null
            ? []
            : [`         ${share(others.unknown)} of ${count(others)} that the model was not trained on`]),
        ].join("\n"),
      );
      out.json({ event: "done", model: config.name, ...figures, threshold, known, others });
    } finally {
      await network.dispose();
    }
  },
});
