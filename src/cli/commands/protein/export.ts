/** @file `pareto protein export`: a trained protein model as a standard ONNX file. */
import type { Command } from "commander";
import { exportProteinModel } from "../../../protein/exportProtein.ts";
import { DEFAULT_MODEL_PATH } from "../../../protein/defaultModel.ts";
import { openProteinModel } from "../../../protein/savedModel.ts";
import { formatBytes } from "../../../base/format.ts";
import { newCommand, withOutput, type CommonFlags } from "../../command.ts";

interface Flags extends CommonFlags {
  onnx: string;
}

/** The command. */
export function command(): Command {
  return newCommand("export", "Write a trained protein model as a standard ONNX file, for any batch size.")
    .argument(
      "[model]",
      "a run of `protein train`, or a saved model (default: the one that comes with Pareto)",
    )
    .requiredOption("--onnx <file>", "the file to write")
    .action((path: string | undefined, flags: Flags) =>
      withOutput(flags, async (out) => {
        const model = await openProteinModel(path ?? DEFAULT_MODEL_PATH);
        const made = await exportProteinModel(model, flags.onnx);
        out.result(`${made.files.join(", ")}: ${formatBytes(made.sizeBytes)}`);
        out.json({ event: "done", model: model.config.name, ...made });
      }),
    );
}
