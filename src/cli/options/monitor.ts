/** @file `--monitor`: the figure on the validation part whose best epoch is kept, and by which training stops. */
import { METRICS, type MetricName } from "../../run/metrics/metricNames.ts";
import { option, words } from "./spec.ts";

/** Figures as users write them. */
const NAMES = { auc: "auc", logloss: "logLoss", accuracy: "accuracy", "macro-f1": "macroF1" } as const;

type MonitorWord = keyof typeof NAMES;

/** The option. @param choices in the order of the help; the first is the default */
export function monitorOption<Word extends MonitorWord>(choices: readonly [Word, ...Word[]]) {
  const table = Object.fromEntries(choices.map((word) => [word, ""])) as Record<Word, string>;
  return option("metric", words(table), {
    meaning: `Figure on the validation part that says which epoch's weights are kept, and when to stop: ${choices.join(" or ")}`,
    default: choices[0],
  });
}

/** The figure of a word. */
export const monitorOf = <Word extends MonitorWord>(word: Word): (typeof NAMES)[Word] => NAMES[word];

/** Which weights were kept, and why: `the weights are those after epoch 2, whose AUC on the validation part was best`. */
export function keptWeights(unit: "epoch" | "step", at: number | null, monitor: MetricName): string {
  return `the weights are those after ${unit} ${at}, whose ${METRICS[monitor].label} on the validation part was best`;
}
