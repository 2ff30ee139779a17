/** @file `pareto recsys export`: a trained model as a standard ONNX file. */
import { exportCtrModel } from "../../../recsys/export.ts";
import { tableTensor } from "../../../recsys/embedding/tableCheckpoint.ts";
import { rowFloats } from "../../../recsys/models/features.ts";
import { CTR_CHECKPOINT } from "../../../recsys/training/clickNetwork.ts";
import { openTrainedModel } from "../../../recsys/training/trainedModel.ts";
import { formatBytes } from "../../../base/format.ts";
import { openCheckpoint } from "../../../run/checkpoint.ts";
import { defineCommand } from "../../command.ts";
import { operand, required, text } from "../../options/spec.ts";

/** The command. */
export const command = defineCommand({
  summary: "Write a trained model as a standard ONNX file, for any batch size.",
  operands: { run: operand("run", text, { meaning: "Folder of a run" }) },
  options: {
    onnx: required("file", text, {
      meaning: "File to write; weights above 1.5 GiB go to FILE.data beside it",
      writes: "file",
    }),
  },
  async run(out, { values: { run, onnx } }) {
    const { encoder, model, checkpoint: directory } = await openTrainedModel(run);
    const { schema } = encoder;
    const floats = rowFloats(model.inputs);
    const checkpoint = await openCheckpoint(directory, CTR_CHECKPOINT);
    try {
      await checkpoint.verify();
      const made = await exportCtrModel({
        model,
        schema,
        parameter: (name) => checkpoint.read(name),
        table: (t) => ({
          rows: schema.categorical[t]!.cardinality,
          read: (first, count) => checkpoint.read(tableTensor(t, "weights"), first * floats, count * floats),
        }),
        file: onnx,
        onProgress: (done, total, unit) =>
          out.onEvent({ event: "progress", task: "write", done, total, unit, rate: null }),
      });
      out.result(`${made.files.join(", ")}: ${formatBytes(made.sizeBytes)}`);
      out.json({ event: "done", run, ...made });
    } finally {
      await checkpoint.close();
    }
  },
});
