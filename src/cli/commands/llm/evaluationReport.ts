/** @file From an evaluation to its report. */
import { describeMachine, paretoVersion } from "../../../base/environment.ts";
import type { VariantResult, Evaluated } from "../../../llm/eval/evaluate.ts";
import type { BudgetReport } from "../../../report/budgetReport.ts";
import { formatCount } from "../../../base/format.ts";
import type { EvalTask, EvalTaskValues } from "./evalTask.ts";
import type { RunnerValues } from "../../options/languageModel.ts";

/** A full cache below this share of right answers says little about policies. */
const SOLVED = 0.95;

/** The options of an evaluation that its report shows. */
export interface EvaluationValues extends EvalTaskValues, RunnerValues {
  readonly kv: readonly string[];
  readonly budgets: readonly number[];
  readonly seeds: number;
}

/** The options that a result depends on. */
export function configOf({ task, kv, budgets, seeds, device, dtype }: EvaluationValues, made: EvalTask) {
  return {
    task,
    ...made.config,
    kv: kv.join(","),
    budgets: budgets.map((share) => 100 * share).join(","),
    seeds,
    device,
    ...(dtype && { dtype }),
  };
}

const withoutValues = ({ values: _, ...point }: VariantResult) => point;

/** Every text's value, by policy and budget. */
export function valuesOf({ variants }: Evaluated) {
  return variants.map(({ policy, budget, values }) => ({ policy, budget, values }));
}

/** The report. @param model its name */
export function evalReport(
  model: string,
  { variants, items }: Evaluated,
  values: EvaluationValues,
  task: EvalTask,
): BudgetReport {
  const isAccuracy = task.measure === "answers";
  const [full, ...points] = variants.map(withoutValues);
  const warnings: string[] = [];
  if (isAccuracy && full!.mean < SOLVED) {
    warnings.push(
      `With a full cache the model answers ${(100 * full!.mean).toFixed(1)} % of this task right. What policies lose is hard to tell from what the model cannot do.`,
    );
  }
  if (items < task.items) {
    warnings.push(
      `Time was up after ${formatCount(items)} of ${formatCount(task.items)} texts; intervals are wider for it.`,
    );
  }
  if (task.tokens > task.maxTokens) {
    warnings.push(
      `The texts have ${formatCount(task.tokens)} tokens, but the model was made for ${formatCount(task.maxTokens)}.`,
    );
  }
  const { cpu, cores, memoryBytes } = describeMachine();
  const what = isAccuracy ? `${values.task}, ${task.config["protocol"]}` : "perplexity";
  const lengths = isAccuracy
    ? `${formatCount(task.tokens)} tokens each`
    : `prompts of ${formatCount(task.tokens - task.decoded)} tokens, ${formatCount(task.decoded)} scored after them`;
  return {
    title: `${model}: ${what}`,
    subtitle: `${formatCount(items)} texts, ${lengths}`,
    createdAt: new Date().toISOString(),
    measure: isAccuracy ? "accuracy" : "nll",
    items,
    full: full!,
    points,
    warnings,
    config: { model, ...configOf(values, task), items },
    environment: {
      pareto: paretoVersion(),
      node: process.version,
      cpu,
      cores,
      memoryGiB: Math.round(memoryBytes / 2 ** 30),
    },
  };
}
