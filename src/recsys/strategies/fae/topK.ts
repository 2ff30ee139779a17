/**
 * @file The top-K policy: the K most counted rows over all tables, K being what the budget holds. This is what
 * the authors' released profiler does, save that it also takes rows that the sample never saw; we do not.
 */
import type { DecisionEvent } from "../../../run/policies/decision.ts";
import type { AccessLog } from "./accessLog.ts";
import type { HotCutoffs, HotPolicy, HotSelection } from "./hotPolicy.ts";
import type { HotBudget } from "./hotSet.ts";
import { HotSet, hotCapacity } from "./hotSet.ts";
import { cutRanking, topRows } from "./rowRanking.ts";

/** One global ranking of rows, cut at the budget. */
export class TopKPolicy implements HotPolicy {
  readonly name = "topk";

  select(log: AccessLog, budget: HotBudget): HotSelection {
    const capacity = hotCapacity(budget);
    const rows = topRows(log.counts, capacity);
    const lowest = rows.length === 0 ? 0 : log.counts[rows.at(-1)!]!;
    const decision: DecisionEvent = {
      event: "decision",
      policy: "topk",
      kind: "recsys.hot",
      step: 0,
      subject: "rows",
      saw: { capacity, budgetBytes: budget.budgetBytes },
      chose: { rows: rows.length, lowestCount: lowest },
    };
    return { hotSet: new HotSet(log.space, rows, budget, null), events: [decision] };
  }

  cutoffs(log: AccessLog, budgets: readonly HotBudget[]): HotCutoffs[] {
    const capacities = budgets.map((budget) => hotCapacity(budget));
    // One more than any budget takes, so that each knows whether it cuts.
    const ranked = topRows(log.counts, Math.max(0, ...capacities) + 1);
    const counts = new Float64Array(log.space.tables).fill(1);
    return capacities.map((capacity) => ({ counts, ...cutRanking(ranked, log.counts, capacity) }));
  }
}
