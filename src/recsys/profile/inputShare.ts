/**
 * @file What share of the inputs, and of their lookups, would be hot at each of many budgets, from the access log and some of the sampled
 * inputs, without building a hot set or reading the data again.
 *
 * A sampled input raised the counts of its own rows, so taken as they are its rows look hotter than those of an
 * input that was not drawn; at the lowest threshold every sampled input would be hot. So the inputs outside
 * the sample are judged by counts less the input's own, and the two shares are mixed in proportion.
 */
import type { Lookups } from "../data/batches/clickBatch.ts";
import type { AccessLog } from "../strategies/fae/accessLog.ts";
import type { HotCutoffs, HotPolicy } from "../strategies/fae/hotPolicy.ts";

/** A point of the curve of hot-input share against budget. */
export interface InputSharePoint {
  budgetBytes: number;
  /** Hot rows that the policy would take, as estimated. */
  rows: number;
  /** Share of all inputs that would be hot. */
  inputShare: number;
  /** Share of all lookups that would hit a hot row. */
  accessShare: number;
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
  let inputShare = 0;
  let accessShare = 0;
  return lines.map((line, i) => {
    const shares = sharesAt(request, line);
    inputShare = Math.max(inputShare, shares.inputs);
    accessShare = Math.max(accessShare, shares.lookups);
    return { budgetBytes: budgets[i]!, rows: Math.round(line.rows), inputShare, accessShare };
  });
}

/** Inputs or lookups that are hot as counted, and that would be without the input's own lookups. */
interface Tally {
  total: number;
  seen: number;
  fresh: number;
}

function sharesAt({ log, sample, inputs }: InputShareRequest, line: HotCutoffs) {
  const inputTally: Tally = { total: 0, seen: 0, fresh: 0 };
  const lookupTally: Tally = { total: 0, seen: 0, fresh: 0 };
  for (const lookups of sample) {
    for (let b = 0; b < lookups.size; b++) {
      const before = { ...lookupTally };
      tallyLookups(lookups, b, log, line, lookupTally);
      const total = lookupTally.total - before.total;
      inputTally.total++;
      if (lookupTally.seen - before.seen === total) inputTally.seen++;
      if (lookupTally.fresh - before.fresh === total) inputTally.fresh++;
    }
  }
  const logged = Math.min(1, log.inputs / Math.max(1, inputs));
  const share = ({ total, seen, fresh }: Tally) =>
    (logged * seen + (1 - logged) * fresh) / Math.max(1, total);
  return { inputs: share(inputTally), lookups: share(lookupTally) };
}

function tallyLookups(lookups: Lookups, input: number, log: AccessLog, line: HotCutoffs, tally: Tally): void {
  const { ids, offsets, size } = lookups;
  for (let table = 0; table < lookups.tables; table++) {
    const cutoff = line.counts[table]!;
    const first = log.space.offsets[table]!;
    const bag = table * size + input;
    const start = offsets === null ? bag : offsets[bag]!;
    const end = offsets === null ? bag + 1 : offsets[bag + 1]!;
    for (let k = start; k < end; k++) {
      const row = first + ids[k]!;
      const count = log.counts[row]!;
      tally.total++;
      if (count < cutoff || ranksBehind(row, count, line.last)) continue;
      tally.seen++;
      let own = 0;
      for (let j = start; j < end; j++) if (ids[j] === ids[k]) own++;
      if (count - own >= cutoff && !ranksBehind(row, count - own, line.last)) tally.fresh++;
    }
  }
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
