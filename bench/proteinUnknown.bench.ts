/** @file Whether a protein model says `unknown` where it should. See `protein/unknown.ts`. */
import { DEFAULT_MODEL_PATH } from "../src/protein/savedModel.ts";
import type { BenchArea } from "./harness/area.ts";
import { measureUnknown, unknownRows } from "./protein/unknown.ts";

export default {
  about: "Share of sequences of no known family that a protein model calls unknown.",
  cost: "Some minutes on 4 cores.",
  options: {
    sources: {
      type: "string",
      meaning: "FASTA files or folders that the model was trained on, by commas",
      isRequired: true,
    },
    model: { type: "string", meaning: "a saved model or a run. Defaults to the one that comes with Pareto" },
  },
  async run({ threads, values }) {
    const model = String(values["model"] ?? DEFAULT_MODEL_PATH);
    const result = await measureUnknown(model, String(values["sources"]).split(","), threads);
    return { rows: unknownRows(result), results: [result] };
  },
} satisfies BenchArea;
