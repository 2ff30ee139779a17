/**
 * @file What a policy that chooses hot rows is given and answers. Threshold and top-K implement it, and so can
 * any peer to compare with: it sees counts, holds no buffer and knows no device.
 */
import type { NoticeEvent } from "../../../run/events.ts";
import type { DecisionEvent } from "../../../run/policies/decision.ts";
import type { AccessLog } from "./accessLog.ts";
import type { HotBudget, HotSet } from "./hotSet.ts";

/**
 * Where a policy would draw the line between hot and cold, without building the set: a row is hot when its count
 * reaches its table's `counts` and it does not rank behind `last`.
 */
export interface HotCutoffs {
  /** Least count of a hot row in each table, `[T]`; 0 makes a table entirely hot. */
  counts: Float64Array;
  /** The last row that the budget takes of the ranking by (count falling, row rising); null if it takes all. */
  last: { count: number; row: number } | null;
  /** Rows expected above the line. */
  rows: number;
}

/** A choice of hot rows. */
export interface HotSelection {
  hotSet: HotSet;
  /** What was considered and chosen, and what the user should know of it, in order. */
  events: (DecisionEvent | NoticeEvent)[];
}

/** Chooses which rows are hot, given how often each was looked up. */
export interface HotPolicy {
  readonly name: string;
  /** Chooses at most `floor(budgetBytes / rowBytes)` rows. */
  select(log: AccessLog, budget: HotBudget): HotSelection;
  /** The line alone, for planning many budgets over one log. */
  cutoffs(log: AccessLog, budgets: readonly HotBudget[]): HotCutoffs[];
}
