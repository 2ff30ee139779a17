/** @file The cluster split: what resembles the other sequences of its family least is held out. */
import { Rng } from "../../base/rng.ts";
import { rowsByFamily, type SequenceSet } from "../sequenceSet.ts";
import { clusterSequences } from "./clusters.ts";
import { TEST, TRAIN, VALIDATION, type Parts } from "./parts.ts";

const CLUSTER_STREAM = 0x636c7573;

/**
 * Fills, family by family, test, then validation, with whole clusters from the smallest up, as long as each stays within
 * 10 % of the family; the rest trains. Clusters of equal size come in an order drawn by the seed. Deliberately harsh:
 * most of what is held out has no relative within reach of its 4-mers. A family with few small clusters has fewer than
 * 10 % held out, at worst none.
 */
export function splitByCluster(set: SequenceSet, seed: number): Parts {
  const clusters = clusterSequences(set);
  const sizes = new Uint32Array(set.count);
  for (const cluster of clusters) sizes[cluster]!++;
  const rng = new Rng(seed, CLUSTER_STREAM);
  const partOfCluster = new Uint8Array(set.count).fill(TRAIN);
  for (const rows of rowsByFamily(set)) {
    const roots = rng.shuffle(rows.filter((row) => sizes[row]! > 0));
    roots.sort((a, b) => sizes[a]! - sizes[b]!);
    const limit = Math.floor(rows.length / 10);
    let next = 0;
    for (const part of [TEST, VALIDATION]) {
      let filled = 0;
      while (next < roots.length && filled + sizes[roots[next]!]! <= limit) {
        filled += sizes[roots[next]!]!;
        partOfCluster[roots[next++]!] = part;
      }
    }
  }
  return Uint8Array.from(clusters, (cluster) => partOfCluster[cluster]!);
}
