/**
 * @file The nearest training sequence by shared k-mers: the baseline that stands for searching a database.
 *
 * With q and t distinct k-mers in a query and a training sequence, s of them shared, the similarity is
 * `containment` s / min(q, t), `jaccard` s / (q + t - s), or `larger` s / max(q, t). Containment is what the cluster
 * split is made with; it lets fragments match anything, so that the other two are the stronger classifiers. A
 * family scores as its most similar sequence; of equals the first family wins. A query that shares no k-mer with any
 * sequence goes to the family with most of them.
 */
import type { SequenceSet } from "../sequenceSet.ts";
import { distinctKmers, kmerCount } from "./kmers.ts";

/** What the nearest sequences of each query say. */
export interface NearestResult {
  /** `[queries, families]`: each family's best similarity, scaled to a sum of 1. */
  scores: Float32Array;
  /** `[queries]`: to the nearest of all, 0..1. */
  similarity: Float32Array;
}

/** How alike two sets of k-mers are. */
export type KmerSimilarity = "containment" | "jaccard" | "larger";

/** Options of {@link nearestByKmers}. */
export interface NearestOptions {
  /** Residues of a k-mer (default 4). */
  k?: number;
  /** Default `containment`. */
  similarity?: KmerSimilarity;
}

const SIMILARITIES: Record<KmerSimilarity, (shared: number, a: number, b: number) => number> = {
  containment: (shared, a, b) => shared / Math.min(a, b),
  jaccard: (shared, a, b) => shared / (a + b - shared),
  larger: (shared, a, b) => shared / Math.max(a, b),
};

/** Finds for each query row the nearest of the training rows. */
export function nearestByKmers(
  set: SequenceSet,
  train: Uint32Array,
  queries: Uint32Array,
  options: NearestOptions = {},
): NearestResult {
  const { k = 4 } = options;
  const compare = SIMILARITIES[options.similarity ?? "containment"];
  const known = distinctKmers(set, train, k);
  const starts = new Float64Array(kmerCount(k) + 1);
  for (const kmer of known.kmers) starts[kmer + 1]!++;
  for (let kmer = 0; kmer < kmerCount(k); kmer++) starts[kmer + 1]! += starts[kmer]!;
  const filled = starts.slice();
  const holders = new Uint32Array(known.kmers.length);
  for (let i = 0; i < train.length; i++) {
    for (let at = known.starts[i]!; at < known.starts[i + 1]!; at++) {
      holders[filled[known.kmers[at]!]!++] = i;
    }
  }
  const asked = distinctKmers(set, queries, k);
  const shared = new Uint32Array(train.length);
  const touched = new Uint32Array(train.length);
  const families = set.families.length;
  const commonest = commonestLabel(set, train);
  const scores = new Float32Array(queries.length * families);
  const similarity = new Float32Array(queries.length);
  for (let q = 0; q < queries.length; q++) {
    let touchedCount = 0;
    for (let at = asked.starts[q]!; at < asked.starts[q + 1]!; at++) {
      const kmer = asked.kmers[at]!;
      const end = starts[kmer + 1]!;
      for (let p = starts[kmer]!; p < end; p++) {
        const i = holders[p]!;
        if (shared[i]!++ === 0) touched[touchedCount++] = i;
      }
    }
    const size = asked.starts[q + 1]! - asked.starts[q]!;
    const own = scores.subarray(q * families, (q + 1) * families);
    for (let t = 0; t < touchedCount; t++) {
      const i = touched[t]!;
      const label = set.labels[train[i]!]!;
      const found = compare(shared[i]!, size, known.starts[i + 1]! - known.starts[i]!);
      shared[i] = 0;
      if (found > own[label]!) own[label] = found;
    }
    if (touchedCount === 0) own[commonest] = 1;
    else similarity[q] = Math.max(...own);
    const sum = own.reduce((total, score) => total + score, 0);
    for (let c = 0; c < families; c++) own[c]! /= sum;
  }
  return { scores, similarity };
}

function commonestLabel(set: SequenceSet, rows: Uint32Array): number {
  const counts = new Uint32Array(set.families.length);
  for (const row of rows) counts[set.labels[row]!]!++;
  let best = 0;
  for (let label = 1; label < counts.length; label++) if (counts[label]! > counts[best]!) best = label;
  return best;
}
