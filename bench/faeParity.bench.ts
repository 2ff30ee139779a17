/** @file Whether FAE keeps the baseline's accuracy. See `recsys/faeParity.ts`. */
import type { BenchArea } from "./harness/area.ts";
import { faeParityRows, measureFaeParity } from "./recsys/faeParity.ts";

export default {
  about: "Accuracy of FAE against the baseline on a synthetic log, over seeds.",
  cost: "Some three minutes on 4 cores.",
  options: {
    seeds: { type: "string", meaning: "seeds, by commas. Defaults to 3,4,5" },
    train: { type: "string", meaning: "inputs to train on. Defaults to 600000" },
  },
  async run({ small, values, log }) {
    const result = await measureFaeParity({
      seeds: String(values["seeds"] ?? (small ? "3" : "3,4,5"))
        .split(",")
        .map(Number),
      train: Number(values["train"] ?? (small ? 4096 : 600_000)),
      validation: small ? 2048 : 50_000,
      log,
    });
    return { rows: faeParityRows(result), results: [result] };
  },
} satisfies BenchArea;
