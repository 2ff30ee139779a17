/** @file Sets of sequences for the tests of this folder. */
import { encodeResidues } from "../../../src/protein/alphabet.ts";
import type { SequenceSet } from "../../../src/protein/sequenceSet.ts";
import { Rng } from "../../../src/base/rng.ts";

export interface Labelled {
  residues: string;
  label: number;
  name?: string;
  species?: string;
}

/** A set of these sequences, its families called f0, f1, … */
export function sequenceSet(sequences: readonly Labelled[]): SequenceSet {
  const encoded = sequences.map(({ residues }) => encodeResidues(residues));
  const offsets = new Float64Array(sequences.length + 1);
  for (const [i, ids] of encoded.entries()) offsets[i + 1] = offsets[i]! + ids.length;
  const labels = Int32Array.from(sequences, ({ label }) => label);
  return {
    ids: Uint8Array.from(encoded.flatMap((ids) => [...ids])),
    offsets,
    labels,
    count: sequences.length,
    families: Array.from({ length: Math.max(-1, ...labels) + 1 }, (_, label) => `f${label}`),
    names: sequences.map(({ name }, i) => name ?? `P${i}_HUMAN/1-9`),
    species: sequences.map(({ species }) => species ?? ""),
  };
}

/** Residues drawn from the first `letters` of the alphabet. */
export function randomResidues(rng: Rng, length: number, letters = 20): string {
  return Array.from({ length }, () => "ACDEFGHIKLMNPQRSTVWY"[rng.integer(letters)]!).join("");
}

/** Families of a few ancestors each, whose descendants differ by single residues and lengths. */
export function relatedSequences(seed: number, families: number, perFamily: number): Labelled[] {
  const rng = new Rng(seed);
  return Array.from({ length: families }, (_, label) => {
    const ancestors = Array.from({ length: 1 + rng.integer(6) }, () =>
      randomResidues(rng, 20 + rng.integer(40)),
    );
    return Array.from({ length: perFamily }, (_, i) => {
      const letters = [...ancestors[rng.integer(ancestors.length)]!];
      const changes = rng.integer(letters.length);
      for (let c = 0; c < changes; c++) letters[rng.integer(letters.length)] = randomResidues(rng, 1);
      return {
        residues: letters.slice(rng.integer(10)).join(""),
        label,
        name: `F${label}P${rng.integer(perFamily)}_S${i}/${i}-99`,
        species: `S${rng.integer(30)}`,
      };
    });
  }).flat();
}

/** The rows of a set that hold each sequence's residues, for tests that compare texts. */
export function residueText(set: SequenceSet, row: number): string {
  return set.ids.subarray(set.offsets[row]!, set.offsets[row + 1]!).join(",");
}
