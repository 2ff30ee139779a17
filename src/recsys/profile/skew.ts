/**
 * @file How unevenly embedding rows are used: the share of all lookups that the most used rows take, from the counts
 * of a sample.
 *
 * A row that was drawn by chance ranks above its equals that were not, so on the sample itself the top rows take
 * more than they do on the rest. Lookups outside the sample are therefore judged by counts less one: what a lookup
 * of a row with count c says about its rank, itself left out, is c − 1. The two are mixed in proportion. So a
 * figure is what the top rows as ranked by the sample take of all lookups: a little below what the truly most used
 * take (0.90 for 0.93 of the top 10 % at a 5 % sample of 600 000 inputs), and exact when everything was logged.
 */

/** A point of the access-skew curve. */
export interface SkewPoint {
  /** Share of the rows, the most used first, in (0, 1]. */
  rowShare: number;
  /** Share of the lookups that they take. */
  accessShare: number;
}

/** The skew of some rows. */
export interface AccessSkew {
  rows: number;
  /** Rows looked up at least once. */
  rowsSeen: number;
  lookups: number;
  /** Share of the lookups that the most used 1 % of the rows take. */
  top1: number;
  /** The same of 6.8 %, the share that the FAE literature quotes for Criteo Kaggle. */
  top6p8: number;
  /** The same of 10 %. */
  top10: number;
}

/** Counts from here on are kept one by one, below in a histogram. */
const BUCKETS = 1 << 16;

/** Runs of rows with the same count, the highest count first. */
interface CountRuns {
  counts: number[];
  rows: number[];
  totalRows: number;
  lookups: number;
}

/**
 * Skew of rows given how often each was looked up.
 * @param logged share of the inputs that the counts are from
 */
export function accessSkew(counts: Uint32Array, logged: number): AccessSkew {
  const runs = countRuns(counts);
  const share = (rowShare: number) => accessShareOf(runs, rowShare, logged);
  const rowsSeen = runs.rows.reduce((sum, rows, i) => sum + (runs.counts[i]! > 0 ? rows : 0), 0);
  return {
    rows: counts.length,
    rowsSeen,
    lookups: runs.lookups,
    top1: share(0.01),
    top6p8: share(0.068),
    top10: share(0.1),
  };
}

/**
 * The access-skew curve, at row shares evenly spaced on a log scale from one row to all.
 * @param logged share of the inputs that the counts are from
 * @param points how many; at least 2
 */
export function skewCurve(counts: Uint32Array, logged: number, points = 60): SkewPoint[] {
  const runs = countRuns(counts);
  if (counts.length === 0) return [];
  return Array.from({ length: points }, (_, i) => {
    const rowShare = counts.length ** (i / (points - 1) - 1);
    return { rowShare, accessShare: accessShareOf(runs, rowShare, logged) };
  });
}

function countRuns(counts: Uint32Array): CountRuns {
  const histogram = new Float64Array(BUCKETS);
  const large: number[] = [];
  for (const count of counts) {
    if (count < BUCKETS) histogram[count]!++;
    else large.push(count);
  }
  const runs: CountRuns = { counts: [], rows: [], totalRows: counts.length, lookups: 0 };
  const add = (count: number, rows: number) => {
    runs.counts.push(count);
    runs.rows.push(rows);
    runs.lookups += count * rows;
  };
  for (const count of large.sort((a, b) => b - a)) add(count, 1);
  for (let count = BUCKETS - 1; count >= 0; count--) if (histogram[count]! > 0) add(count, histogram[count]!);
  return runs;
}

/** Share of the lookups that the first `rowShare` of the rows take; a part of a row counts in part. */
function accessShareOf(runs: CountRuns, rowShare: number, logged: number): number {
  if (runs.lookups === 0) return 0;
  // Rows of count `cut` are taken in part, those above all, those below not at all.
  let left = rowShare * runs.totalRows;
  let cut = 0;
  let part = 1;
  for (let i = 0; i < runs.rows.length && left > 0; i++) {
    cut = runs.counts[i]!;
    part = Math.min(1, left / runs.rows[i]!);
    left -= runs.rows[i]!;
  }
  const taken = (count: number) => (count > cut ? 1 : count === cut ? part : 0);
  let seen = 0;
  let fresh = 0;
  for (let i = 0; i < runs.rows.length; i++) {
    const lookups = runs.counts[i]! * runs.rows[i]!;
    seen += lookups * taken(runs.counts[i]!);
    fresh += lookups * taken(runs.counts[i]! - 1);
  }
  return Math.min(1, (logged * seen + (1 - logged) * fresh) / runs.lookups);
}
