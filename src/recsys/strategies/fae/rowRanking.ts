/**
 * @file Rows in order of (count falling, table rising, row rising): the one order that truncation, filling,
 * top-K and hot indices share.
 *
 * Counting sort over counts below 2^16 and a comparison sort of the few rows above, so ranking K rows of R is
 * O(R) with one uint32 a candidate.
 */

const BUCKETS = 1 << 16;

/** Rows of `rows` (global, rising) by falling count; ties keep their rising order. */
export function rankRows(rows: Uint32Array, counts: Uint32Array): Uint32Array {
  // starts[b + 1] first counts the rows of the b-th highest bucket, then becomes where the next one starts.
  const starts = new Float64Array(BUCKETS + 1);
  for (const row of rows) starts[BUCKETS - bucketOf(counts[row]!)]!++;
  const top = starts[1]!;
  for (let b = 1; b <= BUCKETS; b++) starts[b]! += starts[b - 1]!;
  const ranked = new Uint32Array(rows.length);
  for (const row of rows) {
    const bucket = BUCKETS - 1 - bucketOf(counts[row]!);
    ranked[starts[bucket]!] = row;
    starts[bucket]!++;
  }
  // The top bucket holds all counts from 2^16 − 1 on: at most lookups / 65 535 rows.
  ranked.subarray(0, top).sort((a, b) => counts[b]! - counts[a]! || a - b);
  return ranked;
}

/**
 * The `wanted` most counted rows of all, ranked; rows with a count of zero are never taken.
 * @param excluded non-zero for rows to leave out, `[R]`
 */
export function topRows(counts: Uint32Array, wanted: number, excluded?: Uint8Array): Uint32Array {
  const histogram = new Float64Array(BUCKETS);
  for (let row = 0; row < counts.length; row++) {
    if (excluded === undefined || excluded[row] === 0) histogram[bucketOf(counts[row]!)]!++;
  }
  // Every row of the bucket where the wanted number is reached is a candidate; ranking them settles ties.
  let bucket = BUCKETS - 1;
  let candidates = histogram[bucket]!;
  while (bucket > 1 && candidates < wanted) candidates += histogram[--bucket]!;
  const rows = new Uint32Array(candidates);
  let found = 0;
  for (let row = 0; row < counts.length; row++) {
    if (excluded !== undefined && excluded[row] !== 0) continue;
    if (counts[row]! > 0 && bucketOf(counts[row]!) >= bucket) rows[found++] = row;
  }
  return rankRows(rows.subarray(0, found), counts).slice(0, wanted);
}

/** The first `capacity` rows of a ranking: how many they are, and the last one, null if none is cut off. */
export function cutRanking(ranked: Uint32Array, counts: Uint32Array, capacity: number) {
  const rows = Math.min(capacity, ranked.length);
  if (ranked.length <= capacity) return { rows, last: null };
  const row = ranked[capacity - 1];
  // A capacity of nothing: no row ranks before an infinite count.
  return { rows, last: row === undefined ? { count: Infinity, row: -1 } : { count: counts[row]!, row } };
}

function bucketOf(count: number): number {
  return count < BUCKETS ? count : BUCKETS - 1;
}
