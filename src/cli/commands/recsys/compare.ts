/** @file `pareto recsys compare`: strategies and models on one log, with means and intervals over seeds. */
import { join } from "node:path";
import { fileExists } from "../../../base/files.ts";
import { formatCount } from "../../../base/format.ts";
import { ParetoError } from "../../../base/errors.ts";
import { wholeNumber } from "../../../base/optionSchemas.ts";
import { COMPARED_FIGURES, type FigureName } from "../../../recsys/compare/comparedFigures.ts";
import { compareClicks } from "../../../recsys/compare/compareClicks.ts";
import type { RequestedComparison } from "../../../recsys/compare/comparisonConfig.ts";
import type { ComparisonResult } from "../../../recsys/compare/comparisonResult.ts";
import {
  contrastedFigures,
  contrastText,
  estimateText,
  figureTables,
  verdict,
} from "../../../recsys/compare/comparisonText.ts";
import { CTR_MODELS, fullModelText } from "../../../recsys/models/registry.ts";
import { strategyPolicies } from "../../../recsys/strategies/registry.ts";
import { defaultRunPath } from "../../../run/runFolder.ts";
import { pageOfRuns, reportRun } from "../../runReport.ts";
import { defineCommand, type CommandInput } from "../../command.ts";
import { interruptible } from "../../interrupt.ts";
import { cache } from "../../options/cache.ts";
import { clickModelOptions, strategyOption } from "../../options/clickModel.ts";
import { clickTrainingOptions, trainingSettings } from "../../options/clickTraining.ts";
import { policyTextList } from "../../options/policy.ts";
import {
  columnOptions,
  labelOf,
  prepareOptions,
  readOptions,
  sourceOperand,
  sourceOptions,
} from "../../options/source.ts";
import { inGroup, listOption, option } from "../../options/spec.ts";
import { requireOneFolder, trainingRunOptions } from "../../options/trainingRun.ts";
import { formatTable, type Output } from "../../output.ts";
import { columnTable } from "./columnTable.ts";

const { maxMinutes: _, ...folders } = trainingRunOptions("runs/DATE-TIME-compare", "the number of seeds");
const { model: __, ...modelOptions } = clickModelOptions;
const { hot } = strategyOption("baseline");

const operands = { source: sourceOperand };
const options = {
  ...inGroup("Comparison:", {
    strategies: listOption("policy", policyTextList("--strategies"), {
      meaning: `Strategies, the others against the first: ${strategyPolicies.names.join(", ")}; options follow a colon, e.g. baseline fae:budget=256MiB`,
      default: ["baseline", "fae"],
      defaultText: "baseline fae",
    }),
    models: listOption("model", policyTextList("--models"), {
      meaning: `Models, each under every strategy: ${CTR_MODELS.map(({ name }) => name).join(", ")}, with options behind a colon`,
      default: ["dlrm"],
    }),
    seeds: option("n", wholeNumber({ min: 1, max: 1000 }), {
      meaning: "Seeds that everything is trained with: --seed and those after it",
      default: 3,
    }),
    ...folders,
    cache,
  }),
  ...readOptions,
  ...columnOptions,
  ...clickTrainingOptions,
  ...inGroup("Strategy:", { hot }),
  ...modelOptions,
};
type Input = CommandInput<typeof operands & typeof options>;

/** The command. */
export const command = defineCommand({
  summary:
    "Compare strategies and models on one log: each is trained with several seeds, and shown with means, 95 % intervals and paired differences to the first.",
  operands,
  options,
  async run(out, input) {
    const { cache: cacheDirectory, resume, out: folder } = input.values;
    requireOneFolder(input.values);
    const work =
      resume === undefined
        ? { directory: folder ?? defaultRunPath(["compare"]), config: newComparison(input) }
        : { directory: resume, resume: changes(input) };
    const result = await interruptible(out, (signal, onEvent) =>
      compareClicks({
        ...work,
        cacheDirectory,
        signal,
        onEvent,
        onPrepared: ({ columns }) => out.info(columnTable(columns)),
      }),
    );
    await finish(out, result);
  },
});

function newComparison({ values }: Input): RequestedComparison {
  const strategies = choices("--strategies", values.strategies, (text) =>
    strategyPolicies.fullText(text, "--strategies"),
  );
  const models = choices("--models", values.models, (text) => fullModelText(text));
  const [{ text: strategy }, { text: model }] = [strategies[0]!, models[0]!];
  const { strategy: _s, model: _m, ...settings } = trainingSettings({ ...values, model, strategy });
  return {
    source: sourceOptions(values.source ?? [], values),
    prepare: prepareOptions(values, labelOf(values), settings.seed),
    settings,
    models,
    strategies,
    seeds: values.seeds,
  };
}

/** @throws ParetoError `CLI_OPTION` for two that mean the same, and what `fullText` throws */
function choices(flag: string, labels: readonly string[], fullText: (text: string) => string) {
  const found = labels.map((label) => ({ label, text: fullText(label) }));
  const twice = found.find(({ text }, i) => found.findIndex((other) => other.text === text) < i);
  if (!twice) return found;
  throw new ParetoError({
    code: "CLI_OPTION",
    where: flag,
    message: `each is compared once, and two mean the same, got ${twice.label}`,
    fix: "Leave one out, or give it other options.",
  });
}

/** What a comparison that goes on is asked to change. @throws ParetoError `CLI_OPTION` for what stays as it was */
function changes({ values, isGiven }: Input): { seeds?: number } {
  const other = Object.keys({ ...operands, ...options }).find(
    (name) => !["resume", "cache", "seeds"].includes(name) && isGiven(name as keyof typeof options),
  );
  if (other === undefined) return isGiven("seeds") ? { seeds: values.seeds } : {};
  throw new ParetoError({
    code: "CLI_OPTION",
    where: other,
    message: `a comparison that goes on keeps what it compares; only --seeds and --cache go with --resume, got ${other}`,
    fix: "Leave it out, or start a new comparison with --out.",
  });
}

async function finish(out: Output, result: ComparisonResult): Promise<void> {
  const { run, finished, rows, entries } = result;
  if (finished) {
    await reportRuns(out, result);
    out.result(`${text(result)}\n\nrun     ${run}`);
    await reportRun(out, run);
  } else {
    process.exitCode = 130;
    out.result(`saved; go on with: pareto recsys compare --resume ${run}`);
  }
  out.json({ event: "done", run, finished, rows, entries });
}

/** Writes the report of each run that has none. A report that cannot be written is a warning. */
async function reportRuns(out: Output, { run, entries }: ComparisonResult): Promise<void> {
  const { writePage } = await import("../../../report/writePage.ts");
  for (const { folder } of entries.flatMap(({ runs }) => runs)) {
    const file = join(run, folder, "report.html");
    if (await fileExists(file)) continue;
    try {
      await writePage(file, await pageOfRuns([join(run, folder)]));
    } catch (error) {
      if (!(error instanceof ParetoError)) throw error;
      const { code, message, fix } = error;
      out.onEvent({ event: "notice", level: "warning", code, message: `${message}. ${fix}` });
    }
  }
}

function text({ entries, rows }: ComparisonResult): string {
  const [main, further] = figureTables(entries);
  const table = (figures: readonly FigureName[]) =>
    formatTable(
      ["", ...figures.map((name) => COMPARED_FIGURES[name].label)],
      entries.map(({ name, figures: own }) => [
        name,
        ...figures.map((figure) => (own[figure] === null ? "" : estimateText(figure, own[figure]))),
      ]),
    );
  const seeds = entries[0]!.runs.length;
  const [reference, ...others] = entries;
  const contrasts = others.flatMap(({ name, against }) =>
    contrastedFigures(entries).map((figure, i) => [
      i === 0 ? name : "",
      COMPARED_FIGURES[figure].label,
      contrastText(against[figure]),
      verdict(figure, against[figure]),
    ]),
  );
  return [
    `${formatCount(rows.train)} training, ${formatCount(rows.validation)} validation and ${formatCount(rows.test)} test rows; ${seeds === 1 ? "one seed" : `means over ${seeds} seeds, ± half of the 95 % interval`}`,
    table(main),
    ...(further.length > 0 ? [table(further)] : []),
    ...(contrasts.length > 0
      ? [
          formatTable([`against ${reference!.name}`, "", "difference", ""], contrasts, [
            "left",
            "left",
            "left",
            "left",
          ]),
        ]
      : []),
  ].join("\n\n");
}
