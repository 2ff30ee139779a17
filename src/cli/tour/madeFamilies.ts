/**
 * @file Made protein families with known truth: members of a family descend from one random ancestor, of which they keep
 * about a quarter of the residues, as distant relatives do. Conserved positions, some in the middle of nowhere, are what
 * a classifier can learn.
 */
import { join } from "node:path";
import { writeText } from "../../base/files.ts";
import { Rng } from "../../base/rng.ts";

const LETTERS = "ACDEFGHIKLMNPQRSTVWY";
/** Residues of an ancestor: at least, and how many more at most. */
const LENGTH = { least: 60, spread: 80 };
/** Percent of an ancestor's positions that are conserved, and how often a member keeps such a residue, and another one. */
const CONSERVED = { positions: 30, kept: 70, otherKept: 5 };
/** Percent of positions that a member has lost, and after which it has gained one to four residues. */
const INDELS = 2;

/**
 * Writes one FASTA file a family.
 * @param folder made if absent
 */
export async function writeMadeFamilies(
  folder: string,
  { families, members, seed }: { families: number; members: number; seed: number },
): Promise<void> {
  const rng = new Rng(seed);
  const letter = () => LETTERS[rng.integer(LETTERS.length)]!;
  const happens = (percent: number) => rng.integer(100) < percent;
  for (let family = 0; family < families; family++) {
    const ancestor = Array.from({ length: LENGTH.least + rng.integer(LENGTH.spread) }, () => ({
      residue: letter(),
      kept: happens(CONSERVED.positions) ? CONSERVED.kept : CONSERVED.otherKept,
    }));
    const records = Array.from({ length: members }, (_, member) => {
      const residues = ancestor.flatMap(({ residue, kept }) => {
        if (happens(INDELS)) return [];
        const gained = happens(INDELS) ? Array.from({ length: 1 + rng.integer(4) }, letter) : [];
        return [happens(kept) ? residue : letter(), ...gained];
      });
      return `>made_${family}_${member}\n${residues.join("")}\n`;
    });
    await writeText(join(folder, `family${family}.fasta`), records.join(""));
  }
}
