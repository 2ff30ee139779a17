/** @file `pareto recsys export`: a trained model as a standard ONNX file. */
import type { Command } from "commander";
import { exportCtrModel } from "../../../recsys/export.ts";
import { tableTensor } from "../../../recsys/embedding/tableCheckpoint.ts";
import { CTR_CHECKPOINT, ctrModel } from "../../../recsys/training/clickNetwork.ts";
import { openTrainedModel } from "../../../recsys/training/trainedModel.ts";
import { formatBytes } from "../../../base/format.ts";
import { openCheckpoint } from "../../../run/checkpoint.ts";
import { newCommand, withOutput, type CommonFlags } from "../../command.ts";

interface Flags extends CommonFlags {
  onnx: string;
}

/** The command. */
export function command(): Command {
  return newCommand("export", "Write a trained model as a standard ONNX file, for any batch size.")
    .argument("<run>", "the run's folder")
    .requiredOption("--onnx <file>", "the file to write; weights above 1.5 GiB go to FILE.data beside it")
    .action((run: string, flags: Flags) =>
      withOutput(flags, async (out) => {
        const { config, encoder, checkpoint: directory } = await openTrainedModel(run);
        const { schema } = encoder;
        const { dim } = config.settings;
        const checkpoint = await openCheckpoint(directory, CTR_CHECKPOINT);
        try {
          await checkpoint.verify();
          const made = await exportCtrModel({
            model: ctrModel(config.settings, schema),
            schema,
            parameter: (name) => checkpoint.read(name),
            table: (t) => ({
              rows: schema.categorical[t]!.cardinality,
              read: (first, count) => checkpoint.read(tableTensor(t, "weights"), first * dim, count * dim),
            }),
            file: flags.onnx,
            onProgress: (done, total, unit) =>
              out.onEvent({ event: "progress", task: "write", done, total, unit, rate: null }),
          });
          out.result(`${made.files.join(", ")}: ${formatBytes(made.sizeBytes)}`);
          out.json({ event: "done", run, ...made });
        } finally {
          await checkpoint.close();
        }
      }),
    );
}
