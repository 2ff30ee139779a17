/** @file `pareto doctor`: whether each target works here, found by real computations. */
import { diagnose } from "../../engine/doctor/diagnose.ts";
import { choice, wholeNumber } from "../../base/optionSchemas.ts";
import { defineCommand } from "../command.ts";
import { option } from "../options/spec.ts";
import { formatTable } from "../output.ts";

const TARGETS = ["reference", "cpu", "cuda"] as const;

/** The command. */
export const command = defineCommand({
  summary: "Check each target by real computations, and time it against this machine.",
  operands: {},
  options: {
    device: option("name", choice(TARGETS), {
      meaning: `Target to check: ${TARGETS.join(", ")}`,
      defaultText: "all, and cuda where there is a GPU",
    }),
    threads: option("n", wholeNumber({ min: 1, max: 1024 }), {
      meaning: "Threads that compute",
      defaultText: "the number of cores",
    }),
  },
  async run(out, { values: { device, threads } }) {
    const { missingGpu } = await import("../../engine/targets/cuda/index.ts");
    const missing = device === undefined ? missingGpu() : null;
    const targets =
      device === undefined ? TARGETS.filter((target) => target !== "cuda" || missing === null) : [device];
    const found = [];
    for (const target of targets) {
      const diagnosis = await diagnose(target, threads === undefined ? {} : { threads });
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
  },
});
