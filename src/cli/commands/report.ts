/** @file `pareto report`: the report of a run, made again from its folder, or of several side by side. */
import { join } from "node:path";
import { defineCommand } from "../command.ts";
import { operand, option, pathList, text } from "../options/spec.ts";
import { pageOfRuns } from "../runReport.ts";

/** The command. */
export const command = defineCommand({
  summary:
    "Write the report of a run from its folder, or one page that compares runs of the same command. A run that goes on or was stopped can be reported too.",
  operands: {
    runs: operand("run", pathList, { meaning: "Folders of runs", rest: true }),
  },
  options: {
    out: option("file", text, {
      meaning: "File to write, replaced where it is there",
      defaultText: "report.html in the folder of the first run",
      writes: "file",
    }),
  },
  async run(out, { values }) {
    const { writePage } = await import("../../report/writePage.ts");
    const page = await pageOfRuns(values.runs);
    const file = values.out ?? join(values.runs[0]!, "report.html");
    await writePage(file, page);
    out.result(`report  ${file}`);
    out.json({ event: "done", report: file, runs: values.runs });
  },
});
