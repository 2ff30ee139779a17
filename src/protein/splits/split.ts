/**
 * @file Divides a set into training, validation and test sequences, 80/10/10, in three ways of growing hardness.
 *
 * `random` holds out sequences, `species` whole species, `cluster` the sequences that resemble the others least. All
 * three are Pareto's own choice. None depends on anything but the set and the seed.
 */
import { proteinOfId } from "../families/familyOfHeader.ts";
import type { SequenceSet } from "../sequenceSet.ts";
import { splitByCluster } from "./cluster.ts";
import { TEST, TRAIN, VALIDATION, type Parts } from "./parts.ts";
import { splitAtRandom } from "./random.ts";
import { splitBySpecies } from "./species.ts";

/** Which sequences are held out. */
export type SplitName = "random" | "species" | "cluster";

/** The names, from the easiest to the hardest. */
export const SPLIT_NAMES: readonly SplitName[] = ["random", "species", "cluster"];

/** Rows of a set, ascending, no row in two parts. */
export interface SequenceSplit {
  train: Uint32Array;
  validation: Uint32Array;
  test: Uint32Array;
}

/** How to divide. */
export interface SplitOptions {
  /**
   * Leave out validation and test sequences whose protein stands in an earlier part: other domains of one protein, or
   * repeats within it (default false).
   */
  strict?: boolean;
}

/**
 * Divides a set.
 *
 * `random`: each family's sequences, shuffled by the seed. `species`: by the MD5 of the species code, so equal for every
 * seed; sequences without a species count as species of their own. `cluster`: see {@link splitByCluster}; the seed
 * decides between clusters of equal size.
 */
export function split(
  set: SequenceSet,
  name: SplitName,
  seed: number,
  options: SplitOptions = {},
): SequenceSplit {
  const parts =
    name === "random"
      ? splitAtRandom(set, seed)
      : name === "species"
        ? splitBySpecies(set)
        : splitByCluster(set, seed);
  const kept = options.strict === true ? keepWholeProteins(set, parts) : null;
  const rows = (part: number): Uint32Array => {
    const found: number[] = [];
    for (let row = 0; row < set.count; row++) {
      if (parts[row] === part && (kept === null || kept[row] === 1)) found.push(row);
    }
    return Uint32Array.from(found);
  };
  return { train: rows(TRAIN), validation: rows(VALIDATION), test: rows(TEST) };
}

/** `[count]`: 0 where the sequence's protein has a sequence in an earlier part. */
function keepWholeProteins(set: SequenceSet, parts: Parts): Uint8Array {
  const first = new Map<string, number>();
  const proteins = set.names.map(proteinOfId);
  for (const [row, protein] of proteins.entries()) {
    first.set(protein, Math.min(first.get(protein) ?? TEST, parts[row]!));
  }
  return Uint8Array.from(proteins, (protein, row) => (first.get(protein) === parts[row] ? 1 : 0));
}
