/** @file Where the time of a step goes on a GPU: of DLRM's dense program, and of attention over KV caches. */
import type { Precision } from "../src/engine/program.ts";
import type { BenchArea } from "./harness/area.ts";
import { describeGpu } from "./harness/gpu.ts";
import { gpuRates } from "./harness/gpuRates.ts";
import type { BenchRow } from "./harness/rows.ts";
import { shapeNames } from "./llm/shapes.ts";
import { profileAttention } from "./profile/attentionStep.ts";
import { profileDlrm } from "./profile/dlrmStep.ts";

export default {
  about: "Where the time of a step goes on a GPU: DLRM's dense program, attention over KV caches.",
  cost: "A minute of a GPU; more with --sweep.",
  groups: ["dlrm", "attention"],
  needsGpu: true,
  options: {
    batch: { type: "string", meaning: "inputs of a batch of DLRM. Defaults to 16384" },
    precision: { type: "string", meaning: "float32 or tf32, of DLRM. Defaults to float32" },
    plan: { type: "boolean", meaning: "prints the steps of DLRM's program in order first" },
    source: { type: "boolean", meaning: "prints the code of their kernels too" },
    shapes: {
      type: "string",
      meaning: `shapes of attention, by commas. Defaults to ${shapeNames.join(",")}`,
    },
    sweep: { type: "boolean", meaning: "measures other layouts of attention than the one that is used" },
  },
  async run({ only, small, values }) {
    const rates = await gpuRates(small);
    const rows: BenchRow[] = [];
    const tables: string[] = [];
    if (only.includes("dlrm")) {
      const profiled = await profileDlrm({
        batchSize: Number(values["batch"] ?? (small ? 64 : 16_384)),
        precision: (values["precision"] ?? "float32") as Precision,
        plan: values["plan"] === true,
        source: values["source"] === true,
        rates,
      });
      rows.push(...profiled.rows);
      tables.push(...profiled.tables);
    }
    if (only.includes("attention")) {
      const asked = values["shapes"] === undefined ? null : String(values["shapes"]).split(",");
      const shapes = shapeNames.filter((name) => asked === null || asked.includes(name));
      rows.push(...(await profileAttention({ shapes, sweep: values["sweep"] === true, small, rates })));
    }
    return { rows, tables, results: [{ bench: "profile", small, gpu: await describeGpu(), rates }] };
  },
} satisfies BenchArea;
