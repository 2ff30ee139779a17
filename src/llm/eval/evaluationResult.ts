/** @file What `pareto llm evaluate` keeps of a measurement, and what there is to be said against it. Pure. */
import { formatCount } from "../../base/format.ts";
import type { Evaluated, EvaluateOptions, VariantResult } from "./evaluate.ts";

/** One way of caching, without the values of single texts. */
export type EvaluationPoint = Omit<VariantResult, "values">;

/** What was asked. */
export interface EvaluationSubject {
  /** Name of the model. */
  model: string;
  /** What was asked, in words: `recall, in-prompt`. */
  task: string;
  measure: EvaluateOptions["measure"];
  /** Texts at most. */
  items: number;
  /** Tokens of a text, and how many of them are decoded. */
  tokens: number;
  decoded: number;
  /** Tokens that the model was made for. */
  maxTokens: number;
}

/** The result of a run. */
export interface EvaluationResult extends Pick<EvaluationSubject, "model" | "task" | "tokens" | "decoded"> {
  /** What means are: the share of right answers, or −ln p a token. */
  measure: "accuracy" | "nll";
  /** The run's folder. */
  run: string;
  /** Texts that were measured. */
  items: number;
  full: EvaluationPoint;
  /** In the order of the policies, budgets rising. */
  points: EvaluationPoint[];
  /** Every text's value, by policy and budget. */
  values: Pick<VariantResult, "policy" | "budget" | "values">[];
}

const withoutValues = ({ values: _, ...point }: VariantResult): EvaluationPoint => point;

/** The result. @param run the run's folder */
export function evaluationResult(
  run: string,
  { model, task, measure, tokens, decoded }: EvaluationSubject,
  { items, variants }: Evaluated,
): EvaluationResult {
  const [full, ...points] = variants.map(withoutValues);
  return {
    run,
    model,
    task,
    measure: measure === "answers" ? "accuracy" : "nll",
    tokens,
    decoded,
    items,
    full: full!,
    points,
    values: variants.map(({ policy, budget, values }) => ({ policy, budget, values })),
  };
}

/** A full cache below this share of right answers says little about policies. */
const SOLVED = 0.95;

/** What a reader of the result should know. */
export function evaluationWarnings(
  { items, tokens, maxTokens }: EvaluationSubject,
  result: EvaluationResult,
): string[] {
  const warnings: string[] = [];
  const { measure, full } = result;
  const { mean } = full;
  if (measure === "accuracy" && mean < SOLVED) {
    warnings.push(
      `with a full cache the model answers ${(100 * mean).toFixed(1)} % of this task right: what policies lose is hard to tell from what the model cannot do`,
    );
  }
  if (result.items < items) {
    warnings.push(
      `time was up after ${formatCount(result.items)} of ${formatCount(items)} texts; intervals are wider for it`,
    );
  }
  if (tokens > maxTokens) {
    warnings.push(
      `the texts have ${formatCount(tokens)} tokens, but the model was made for ${formatCount(maxTokens)}`,
    );
  }
  return warnings;
}
