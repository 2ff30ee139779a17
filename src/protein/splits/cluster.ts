/** @file The cluster split: what resembles the other sequences of its family least is held out. */
import { Rng } from "../../engine/rng.ts";
import type { SequenceSet } from "../encodedSequences.ts";
import { clusterSequences } from "./clusters.ts";
import { TEST, TRAIN, VALIDATION } from "./parts.ts";
import type { Parts } from "./parts.ts";

const CLUSTER_STREAM = 0x636c7573;

/**
 * Fills test, then validation, with whole clusters from the smallest up, as long as each stays within 10 % of the set;
 * the rest trains. Clusters of equal size come in an order drawn by the seed. Deliberately harsh: most of what is held
 * out has no relative within reach of its 4-mers.
 */
export function splitByCluster(set: SequenceSet, seed: number): Parts {
  const clusters = clusterSequences(set);
  const sizes = new Uint32Array(set.count);
  for (const cluster of clusters) sizes[cluster]!++;
  const roots = new Rng(seed, CLUSTER_STREAM).shuffle(
    Uint32Array.from({ length: set.count }, (_, row) => row).filter((row) => sizes[row]! > 0),
  );
  roots.sort((a, b) => sizes[a]! - sizes[b]!);
  const partOfCluster = new Uint8Array(set.count).fill(TRAIN);
  const limit = Math.floor(set.count / 10);
  let next = 0;
  for (const part of [TEST, VALIDATION]) {
    let filled = 0;
    while (next < roots.length && filled + sizes[roots[next]!]! <= limit) {
      filled += sizes[roots[next]!]!;
      partOfCluster[roots[next++]!] = part;
    }
  }
  return Uint8Array.from(clusters, (cluster) => partOfCluster[cluster]!);
}
