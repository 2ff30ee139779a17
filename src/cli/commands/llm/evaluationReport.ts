/** @file From an evaluation to its report. */
import { describeMachine, paretoVersion } from "../../../base/environment.ts";
import type { ArmResult, Evaluated } from "../../../llm/eval/evaluate.ts";
import type { PolicyName } from "../../../llm/kv/choosePolicy.ts";
import type { BudgetReport } from "../../../report/budgetReport.ts";
import { formatCount } from "../../../base/format.ts";
import type { Exam, ExamFlags } from "./evalTask.ts";
import type { RunnerFlags } from "../../options/languageModel.ts";

/** A full cache below this share of right answers says little about policies. */
const SOLVED = 0.95;

/** The options of an evaluation that its report shows. */
export interface EvalFlags extends ExamFlags, RunnerFlags {
  kv: PolicyName[];
  budgets: number[];
  seeds: number;
}

/** The options that a result depends on. */
export function configOf({ task, kv, budgets, seeds, device, dtype }: EvalFlags, exam: Exam) {
  return {
    task,
    ...exam.config,
    kv: kv.join(","),
    budgets: budgets.map((share) => 100 * share).join(","),
    seeds,
    device,
    ...(dtype && { dtype }),
  };
}

const withoutValues = ({ values: _, ...point }: ArmResult) => point;

/** Every text's value, by policy and budget. */
export function valuesOf({ arms }: Evaluated) {
  return arms.map(({ policy, budget, values }) => ({ policy, budget, values }));
}

/** The report. @param model its name */
export function evalReport(
  model: string,
  { arms, items }: Evaluated,
  flags: EvalFlags,
  exam: Exam,
): BudgetReport {
  const isAccuracy = exam.measure === "answers";
  const [full, ...points] = arms.map(withoutValues);
  const warnings: string[] = [];
  if (isAccuracy && full!.mean < SOLVED) {
    warnings.push(
      `With a full cache the model answers ${(100 * full!.mean).toFixed(1)} % of this task right. What policies lose is hard to tell from what the model cannot do.`,
    );
  }
  if (items < exam.items) {
    warnings.push(
      `Time was up after ${formatCount(items)} of ${formatCount(exam.items)} texts; intervals are wider for it.`,
    );
  }
  if (exam.tokens > exam.maxTokens) {
    warnings.push(
      `The texts have ${formatCount(exam.tokens)} tokens, but the model was made for ${formatCount(exam.maxTokens)}.`,
    );
  }
  const { cpu, cores, memoryBytes } = describeMachine();
  const what = isAccuracy ? `${flags.task}, ${exam.config["protocol"]}` : "perplexity";
  const lengths = isAccuracy
    ? `${formatCount(exam.tokens)} tokens each`
    : `prompts of ${formatCount(exam.tokens - exam.decoded)} tokens, ${formatCount(exam.decoded)} scored after them`;
  return {
    title: `${model}: ${what}`,
    subtitle: `${formatCount(items)} texts, ${lengths}`,
    createdAt: new Date().toISOString(),
    measure: isAccuracy ? "accuracy" : "nll",
    items,
    full: full!,
    points,
    warnings,
    config: { model, ...configOf(flags, exam), items },
    environment: {
      pareto: paretoVersion(),
      node: process.version,
      cpu,
      cores,
      memoryGiB: Math.round(memoryBytes / 2 ** 30),
    },
  };
}
