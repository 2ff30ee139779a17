/** @file `pareto doctor`: whether each target works here, found by real computations. */
import type { Command } from "commander";
import { diagnose } from "../../engine/doctor/diagnose.ts";
import { newCommand, withOutput, type CommonFlags } from "../command.ts";
import { formatTable } from "../output.ts";
import { oneOf, wholeNumber } from "../options/values.ts";

interface Flags extends CommonFlags {
  device?: string;
  threads?: number;
}

const TARGETS = ["reference", "cpu", "cuda"] as const;

/** The command. */
export function command(): Command {
  return newCommand("doctor", "Check each target by real computations, and time it against this machine.")
    .option(
      "--device <name>",
      "only this target: reference, cpu or cuda (default: all; cuda where there is a GPU)",
      oneOf("--device", TARGETS),
    )
    .option("--threads <n>", "threads that compute (default: the cores)", wholeNumber("--threads", 1, 1024))
    .action((flags: Flags) =>
      withOutput(flags, async (out) => {
        const { missingGpu } = await import("../../engine/targets/cuda/index.ts");
        const missing = flags.device === undefined ? missingGpu() : null;
        const targets =
          flags.device === undefined
            ? TARGETS.filter((target) => target !== "cuda" || missing === null)
            : [flags.device];
        const found = [];
        for (const target of targets) {
          const options = flags.threads === undefined ? {} : { threads: flags.threads };
          const diagnosis = await diagnose(target, options);
          found.push(diagnosis);
          const rows = diagnosis.checks.map(({ ok, name, value, unit, detail }) => [
            ok ? "ok" : "FAILED",
            name,
            `${typeof value === "number" ? Number(value.toPrecision(4)) : (value ?? "")} ${unit}`.trim(),
            detail,
          ]);
          out.result(`${target}: ${diagnosis.ok ? "works" : "does not work"}`);
          out.result(`${formatTable(["", "check", "value", ""], rows, ["left", "left", "right", "left"])}\n`);
        }
        if (missing) out.result(`cuda: not here, ${missing.message}\n`);
        const ok = found.every((diagnosis) => diagnosis.ok);
        out.json({ event: "done", ok, targets: found });
        if (!ok) process.exitCode = 1;
      }),
    );
}
