/**
 * @file What share of the inputs would be hot at each of many budgets, from the access log and some of the sampled
 * inputs, without building a hot set or reading the data again.
 *
 * A sampled input raised the counts of its own rows, so taken as they are its rows look hotter than those of an
 * input that was not drawn; at the lowest threshold every sampled input would be hot. So the inputs outside
 * the sample are judged by counts less the input's own, and the two shares are mixed in proportion.
 */
import type { Lookups } from "../../data/batch.ts";
import type { AccessLog } from "../strategies/fae/accessLog.ts";
import type { HotCutoffs, HotPolicy } from "../strategies/fae/hotPolicy.ts";

/** A point of the curve of hot-input share against budget. */
export interface InputSharePoint {
  budgetBytes: number;
  /** Hot rows that the policy would take, as estimated. */
  rows: number;
  /** Share of all inputs that would be hot. */
  inputShare: number;
}

/** What the curve is computed from. */
export interface InputShareRequest {
  policy: HotPolicy;
  log: AccessLog;
  /** Lookups of logged inputs, a uniform part of them. */
  sample: readonly Lookups[];
  /** Inputs in the whole part (N). */
  inputs: number;
  rowBytes: number;
  budgets: readonly number[];
}

/**
 * The curve, by rising budget. It never falls: a smaller hot set is also within a larger budget, so each point is
 * the best share that the policy reaches with at most that much memory.
 */
export function inputShareCurve(request: InputShareRequest): InputSharePoint[] {
  const { policy, log, rowBytes } = request;
  const budgets = [...request.budgets].sort((a, b) => a - b);
  const lines = policy.cutoffs(
    log,
    budgets.map((budgetBytes) => ({ budgetBytes, rowBytes })),
  );
  let best = 0;
  return lines.map((line, i) => {
    best = Math.max(best, inputShareAt(request, line));
    return { budgetBytes: budgets[i]!, rows: Math.round(line.rows), inputShare: best };
  });
}

function inputShareAt({ log, sample, inputs }: InputShareRequest, line: HotCutoffs): number {
  let total = 0;
  let seenHot = 0;
  let freshHot = 0;
  for (const lookups of sample) {
    total += lookups.size;
    for (let b = 0; b < lookups.size; b++) {
      const margin = hotMargin(lookups, b, log, line);
      if (margin >= 1) seenHot++;
      if (margin === 2) freshHot++;
    }
  }
  if (total === 0) return 0;
  const logged = Math.min(1, log.inputs / Math.max(1, inputs));
  return (logged * seenHot + (1 - logged) * freshHot) / total;
}

/** 0: some row is cold; 1: all are hot as counted; 2: all would be hot without this input's own lookups too. */
function hotMargin(lookups: Lookups, input: number, log: AccessLog, line: HotCutoffs): 0 | 1 | 2 {
  const { ids, offsets, size } = lookups;
  let margin: 1 | 2 = 2;
  for (let table = 0; table < lookups.tables; table++) {
    const cutoff = line.counts[table]!;
    const first = log.space.offsets[table]!;
    const bag = table * size + input;
    const start = offsets === null ? bag : offsets[bag]!;
    const end = offsets === null ? bag + 1 : offsets[bag + 1]!;
    for (let k = start; k < end; k++) {
      const row = first + ids[k]!;
      const count = log.counts[row]!;
      if (count < cutoff || ranksBehind(row, count, line.last)) return 0;
      if (margin === 1) continue;
      let own = 0;
      for (let j = start; j < end; j++) if (ids[j] === ids[k]) own++;
      if (count - own < cutoff || ranksBehind(row, count - own, line.last)) margin = 1;
    }
  }
  return margin;
}

function ranksBehind(row: number, count: number, last: HotCutoffs["last"]): boolean {
  return last !== null && (count < last.count || (count === last.count && row > last.row));
}

/**
 * Budgets for a curve: doubling from 1 MiB to where all rows fit, and those given.
 * @param allBytes bytes of all rows with their optimizer state
 */
export function curveBudgets(allBytes: number, ...given: number[]): number[] {
  const budgets = new Set(given);
  let budget = 2 ** 20;
  for (; budget < allBytes; budget *= 2) budgets.add(budget);
  return [...budgets.add(budget)].sort((a, b) => a - b);
}
