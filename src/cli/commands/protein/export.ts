/** @file `pareto protein export`: a trained protein model as a standard ONNX file. */
import { exportProteinModel } from "../../../protein/exportModel.ts";
import { DEFAULT_MODEL_PATH, openProteinModel } from "../../../protein/savedModel.ts";
import { formatBytes } from "../../../base/format.ts";
import { defineCommand } from "../../command.ts";
import { operand, required, text } from "../../options/spec.ts";

/** The command. */
export const command = defineCommand({
  summary: "Write a trained protein model as a standard ONNX file, for any batch size.",
  operands: {
    model: operand("model", text, {
      meaning: "Run of `protein train`, or a saved model",
      defaultText: "the model that comes with Pareto",
    }),
  },
  options: { onnx: required("file", text, { meaning: "File to write", writes: "file" }) },
  async run(out, { values }) {
    const model = await openProteinModel(values.model ?? DEFAULT_MODEL_PATH);
    const made = await exportProteinModel(model, values.onnx);
    out.result(`${made.files.join(", ")}: ${formatBytes(made.sizeBytes)}`);
    out.json({ event: "done", model: model.config.name, ...made });
  },
});
