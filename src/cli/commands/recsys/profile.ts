/** @file `pareto recsys profile`: what a log looks like and what training on it would take, before any training. */
import { profileClicks } from "../../../recsys/profile/profileClicks.ts";
import type { DatasetProfile } from "../../../recsys/profile/profile.ts";
import { resolveSettings } from "../../../recsys/training/settings.ts";
import { prepareClicks } from "../../../recsys/training/prepareClicks.ts";
import { formatBytes, formatCount, formatFixed, formatShare } from "../../../base/format.ts";
import { defineCommand } from "../../command.ts";
import { keepingNothing } from "../../interrupt.ts";
import { cache } from "../../options/cache.ts";
import { clickModelOptions, strategyOption } from "../../options/clickModel.ts";
import { trainingSettings } from "../../options/clickTraining.ts";
import {
  columnOptions,
  labelOf,
  prepareOptions,
  readOptions,
  sourceOperand,
  sourceOptions,
} from "../../options/source.ts";
import { formatTable, type Output } from "../../output.ts";
import { columnTable } from "./columnTable.ts";

/** The training that is planned for, where no option of `profile` depends on it. */
const PLANNED = { decay: "linear", epochs: 1, patience: 1 } as const;

/** The command. */
export const command = defineCommand({
  summary:
    "Rows, columns, skew, hot-input share against budget, memory and predicted FAE speed-up, before any training.",
  operands: { source: sourceOperand },
  options: { ...readOptions, ...columnOptions, ...strategyOption("fae"), ...clickModelOptions, cache },
  async run(out, { values }) {
    const requested = trainingSettings({ ...PLANNED, ...values });
    const config = {
      source: sourceOptions(values.source ?? [], values),
      prepare: prepareOptions(values, labelOf(values), requested.seed),
    };
    const prepared = await keepingNothing((signal) =>
      prepareClicks(config, values.cache, out.onEvent, signal),
    );
    const { train, validation, test, columns, schema } = prepared;
    const settings = resolveSettings(requested, train.rows);
    const rows = { train: train.rows, validation: validation.rows, test: test.rows };
    out.result(columnTable(columns));
    out.result(
      `\n${formatCount(train.rows)} training, ${formatCount(validation.rows)} validation and ${formatCount(test.rows)} test rows; label 1 in ${formatShare(train.labelCounts[1] / train.rows)} of training\n`,
    );
    const hasTables = schema.categorical.length > 0;
    const profile = hasTables
      ? await profileClicks(prepared, { settings, measure: true, onEvent: out.onEvent })
      : null;
    if (profile) print(out, profile);
    else out.result("no categorical column: no embedding rows, and nothing for FAE to keep");
    out.json({ event: "done", rows, columns, ...profile });
  },
});

function print(out: Output, { tables, skew, inputShare, hot, memory, prediction }: DatasetProfile): void {
  const share = (value: number) => formatShare(value);
  out.result(
    formatTable(
      ["table", "rows", "seen", "ids/input", "top 1 %", "top 10 %", "hot rows"],
      [
        ...tables.map((t) => [
          t.name,
          formatCount(t.rows),
          formatCount(t.rowsSeen),
          formatFixed(t.idsPerInput, 2),
          share(t.top1),
          share(t.top10),
          formatCount(t.hotRows),
        ]),
        [
          "all",
          formatCount(skew.rows),
          formatCount(skew.rowsSeen),
          "",
          share(skew.top1),
          share(skew.top10),
          formatCount(hot.rows),
        ],
      ],
    ),
  );
  out.result(
    `\n${formatTable(
      ["hot budget", "hot rows", "hot inputs", "hot accesses"],
      inputShare.map((point) => [
        formatBytes(point.budgetBytes) + (point.budgetBytes === hot.budgetBytes ? " ←" : ""),
        formatCount(point.rows),
        share(point.inputShare),
        share(point.accessShare),
      ]),
    )}`,
  );
  const memoryRows = Object.entries(memory).map(([name, bytes]) => [
    name.replace(/Bytes$/, "").replace(/([A-Z])/g, (c) => ` ${c.toLowerCase()}`),
    formatBytes(bytes),
  ]);
  out.result(`\n${formatTable(["memory", "size"], memoryRows)}`);
  if (prediction) {
    out.result(
      `\npredicted FAE speed-up ${formatFixed(prediction.speedup, 3)}×: ${share(prediction.hotInputShare)} of inputs hot, a hot step takes ${formatFixed(prediction.hotToCold, 3)} of a cold one, ${prediction.syncsPerEpoch} syncs of ${formatBytes(prediction.syncBytesPerEpoch)} an epoch (steps timed on this machine)`,
    );
  }
}
