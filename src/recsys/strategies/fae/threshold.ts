/**
 * @file The threshold policy: a row is hot when its table gives it at least a share t of the table's lookups,
 * `count ≥ max(1, t · lookups)`, t being the smallest that the budget allows.
 *
 * The search tries 10^-1, 10^-1.5, … and then halves in log t six times (our choice of grid), taking each
 * candidate's size from the hot-size estimator's upper bound. With n_s sampled inputs nothing below 1/n_s can
 * be told apart, so t is held at max(1/n_s, 1e-7). Tables of up to 1 MiB are entirely hot when all of them take
 * no more than half of the budget. What remains above the budget is cut by falling count (invariant I5).
 */
import type { NoticeEvent } from "../../../run/events.ts";
import type { DecisionEvent } from "../../../run/policies/decision.ts";
import { ParetoError } from "../../../base/errors.ts";
import type { AccessLog } from "./accessLog.ts";
import type { HotCutoffs, HotPolicy, HotSelection } from "./hotPolicy.ts";
import type { HotBudget } from "./hotSet.ts";
import { HotSet, hotCapacity } from "./hotSet.ts";
import { cutRanking, rankRows, topRows } from "./rowRanking.ts";
import type { SizeEstimate, SizeEstimatorOptions } from "./hotSizeEstimator.ts";
import { HotSizeEstimator, hotCutoff } from "./hotSizeEstimator.ts";

const LOWEST_THRESHOLD = 1e-7;
const BISECTIONS = 6;

/** How the threshold policy works. */
export interface ThresholdOptions extends SizeEstimatorOptions {
  /** A share of a table's lookups to use instead of searching. */
  threshold?: number;
  /** Tables of up to this many bytes may be entirely hot. Defaults to 1 MiB. */
  smallTableBytes?: number;
  /** Whether room left by the threshold goes to the next most counted rows. Defaults to false. */
  fill?: boolean;
}

/** A threshold tried, and the size expected of it. */
interface Candidate extends SizeEstimate {
  threshold: number;
  fits: boolean;
}

/** The outcome of a search. */
interface Plan {
  chosen: Candidate;
  /** Tables that are hot as a whole. */
  wholeTables: ReadonlySet<number>;
  /** Whether even the lowest resolvable threshold fits. */
  atFloor: boolean;
  tried: Candidate[];
}

/** Per-table relative thresholds, searched under the budget. */
export class ThresholdPolicy implements HotPolicy {
  readonly name = "threshold";
  readonly #options: ThresholdOptions;

  /** @throws ParetoError `FAE_THRESHOLD` for a fixed threshold outside (0, 1] */
  constructor(options: ThresholdOptions) {
    const fixed = options.threshold;
    if (fixed !== undefined && !(fixed > 0 && fixed <= 1)) {
      throw new ParetoError({
        code: "FAE_THRESHOLD",
        where: "hot threshold",
        message: `the share of a table's lookups must be above 0 and at most 1, got ${fixed}`,
        fix: "Use a share such as 1e-4, or leave it out to have it searched.",
      });
    }
    this.#options = options;
  }

  select(log: AccessLog, budget: HotBudget): HotSelection {
    const plan = this.#plan(log, budget, new EstimatorCache(log, this.#options));
    const { threshold } = plan.chosen;
    const capacity = hotCapacity(budget);
    const qualified = rankRows(rowsAbove(log, threshold, plan.wholeTables), log.counts);
    let rows: Uint32Array = qualified.slice(0, capacity);
    if (this.#options.fill === true && rows.length < capacity) rows = filled(log, rows, capacity);
    const hotSet = new HotSet(log.space, rows, budget, threshold);
    const taken = { qualified: qualified.length, rows: rows.length };
    return { hotSet, events: [...decisions(plan, budget, taken), ...this.#notices(log, plan, taken)] };
  }

  cutoffs(log: AccessLog, budgets: readonly HotBudget[]): HotCutoffs[] {
    const cache = new EstimatorCache(log, this.#options);
    return budgets.map((budget) => {
      const { chosen, wholeTables } = this.#plan(log, budget, cache);
      const counts = Float64Array.from(log.lookups, (lookups, table) =>
        wholeTables.has(table) ? 0 : hotCutoff(chosen.threshold, lookups),
      );
      if (chosen.fits) return { counts, last: null, rows: chosen.rows };
      const ranked = rankRows(rowsAbove(log, chosen.threshold, wholeTables), log.counts);
      return { counts, ...cutRanking(ranked, log.counts, hotCapacity(budget)) };
    });
  }

  #plan(log: AccessLog, budget: HotBudget, cache: EstimatorCache): Plan {
    const wholeTables = smallTables(log, budget, this.#options.smallTableBytes ?? 2 ** 20);
    let wholeRows = 0;
    for (const table of wholeTables) wholeRows += log.space.sizes[table]!;
    const estimator = cache.over(wholeTables);
    const tried: Candidate[] = [];
    const attempt = (threshold: number): Candidate => {
      const { rows, upper } = estimator.estimate(threshold);
      const fits = (upper + wholeRows) * budget.rowBytes <= budget.budgetBytes;
      const candidate = { threshold, rows: rows + wholeRows, upper: upper + wholeRows, fits };
      tried.push(candidate);
      return candidate;
    };
    const floor = Math.min(0.1, Math.max(1 / Math.max(1, log.inputs), LOWEST_THRESHOLD));
    if (this.#options.threshold !== undefined) {
      const chosen = attempt(Math.max(this.#options.threshold, floor));
      return { chosen, wholeTables, atFloor: this.#options.threshold < floor, tried };
    }
    const grid: Candidate[] = [];
    for (let half = 2; 10 ** (-half / 2) > floor; half++) grid.push(attempt(10 ** (-half / 2)));
    grid.push(attempt(floor));
    const best = grid.findLastIndex((candidate) => candidate.fits);
    // Nothing fits: the highest threshold, and truncation does the rest.
    if (best < 0) return { chosen: grid[0]!, wholeTables, atFloor: false, tried };
    let chosen = grid[best]!;
    let tooLow = grid[best + 1]?.threshold;
    for (let step = 0; tooLow !== undefined && step < BISECTIONS; step++) {
      const middle = attempt(Math.sqrt(chosen.threshold * tooLow));
      if (middle.fits) chosen = middle;
      else tooLow = middle.threshold;
    }
    return { chosen, wholeTables, atFloor: best === grid.length - 1, tried };
  }

  #notices(log: AccessLog, plan: Plan, { qualified, rows }: Taken): NoticeEvent[] {
    const notices: NoticeEvent[] = [];
    if (plan.atFloor) {
      const asked = this.#options.threshold;
      notices.push({
        event: "notice",
        level: asked === undefined ? "info" : "warning",
        code: "FAE_THRESHOLD_FLOOR",
        message:
          `A sample of ${log.inputs} inputs cannot tell access shares below ${plan.chosen.threshold.toPrecision(2)} apart: ` +
          (asked === undefined
            ? `every row it saw is hot and part of the budget stays free; sample more inputs to use it.`
            : `that threshold is used instead of ${asked}; sample more inputs to go lower.`),
      });
    }
    if (qualified > rows) {
      notices.push({
        event: "notice",
        level: "info",
        code: "FAE_HOT_ROWS_CUT",
        message: `${qualified} rows reach the threshold; the ${rows} most used that fit the budget are hot.`,
      });
    }
    return notices;
  }
}

/** Rows that reach the threshold, and those of them, and of the filling, that are hot. */
interface Taken {
  qualified: number;
  rows: number;
}

/** The record of a search and its outcome. */
function decisions(plan: Plan, { rowBytes, budgetBytes }: HotBudget, taken: Taken): DecisionEvent[] {
  const head = { event: "decision", policy: "threshold", kind: "recsys.hot", step: 0 } as const;
  const candidates = plan.tried.map(({ threshold, rows, upper, fits }): DecisionEvent => ({
    ...head,
    subject: "candidate",
    saw: { threshold, rows, upper, upperBytes: upper * rowBytes },
    chose: { fits },
  }));
  const saw = {
    estimatedRows: plan.chosen.rows,
    upperRows: plan.chosen.upper,
    qualifiedRows: taken.qualified,
    wholeTables: plan.wholeTables.size,
    budgetBytes,
  };
  const chose = { threshold: plan.chosen.threshold, rows: taken.rows };
  return [...candidates, { ...head, subject: "rows", saw, chose }];
}

/** Estimators over the tables that are thresholded, one for each set of tables that are not. */
class EstimatorCache {
  readonly #log: AccessLog;
  readonly #options: SizeEstimatorOptions;
  readonly #known = new Map<string, HotSizeEstimator>();

  constructor(log: AccessLog, options: SizeEstimatorOptions) {
    this.#log = log;
    this.#options = options;
  }

  over(wholeTables: ReadonlySet<number>): HotSizeEstimator {
    const key = [...wholeTables].join(",");
    let estimator = this.#known.get(key);
    if (estimator === undefined) {
      const tables = this.#log.space.sizes.keys().filter((table) => !wholeTables.has(table));
      estimator = new HotSizeEstimator(this.#log, [...tables], this.#options);
      this.#known.set(key, estimator);
    }
    return estimator;
  }
}

/** Tables of up to `limit` bytes, if all of them take at most half of the budget; else none. */
function smallTables(log: AccessLog, budget: HotBudget, limit: number): Set<number> {
  const small = new Set<number>();
  let bytes = 0;
  for (const [table, rows] of log.space.sizes.entries()) {
    if (rows * budget.rowBytes > limit) continue;
    small.add(table);
    bytes += rows * budget.rowBytes;
  }
  return bytes <= budget.budgetBytes / 2 ? small : new Set();
}

/** Global rows, rising, that reach the threshold or lie in a table that is hot as a whole. */
function rowsAbove(log: AccessLog, threshold: number, wholeTables: ReadonlySet<number>): Uint32Array {
  const { space, counts } = log;
  const cutoffs = Array.from(log.lookups, (lookups, table) =>
    wholeTables.has(table) ? 0 : hotCutoff(threshold, lookups),
  );
  const visit = (take: (row: number) => void) => {
    for (let table = 0; table < space.tables; table++) {
      const cutoff = cutoffs[table]!;
      const end = space.offsets[table + 1]!;
      for (let row = space.offsets[table]!; row < end; row++) if (counts[row]! >= cutoff) take(row);
    }
  };
  let size = 0;
  visit(() => size++);
  const rows = new Uint32Array(size);
  let next = 0;
  visit((row) => {
    rows[next++] = row;
  });
  return rows;
}

/** `rows` and, up to `capacity`, the next most counted rows that were seen at all, ranked together. */
function filled(log: AccessLog, rows: Uint32Array, capacity: number): Uint32Array {
  const taken = new Uint8Array(log.space.rows);
  for (const row of rows) taken[row] = 1;
  const more = topRows(log.counts, capacity - rows.length, taken);
  const all = new Uint32Array(rows.length + more.length);
  all.set(rows);
  all.set(more, rows.length);
  return rankRows(all.sort(), log.counts);
}
