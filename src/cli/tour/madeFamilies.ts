/**
 * @file Made protein families with known truth: members of a family descend from one random ancestor, of which they keep
 * some residues: about a quarter as distant relatives, about a third as closer ones. Conserved positions, some in the
 * middle of nowhere, are what a classifier can learn.
 */
import { join } from "node:path";
import { writeText } from "../../base/files.ts";
import { Rng } from "../../base/rng.ts";

const LETTERS = "ACDEFGHIKLMNPQRSTVWY";
/** Residues of an ancestor: at least, and how many more at most. */
const LENGTH = { least: 60, spread: 80 };
/** Percent of an ancestor's positions that are conserved. */
const CONSERVED = 30;
/** How often, in percent, a member keeps the residue of a conserved position, and of another one. */
const KEPT = { distant: [70, 5], close: [90, 10] } as const;
/** Percent of positions that a member has lost, and after which it has gained one to four residues. */
const INDELS = 2;

/** What is made. */
export interface MadeFamilies {
  families: number;
  /** Sequences of each. */
  members: number;
  relatives: keyof typeof KEPT;
  seed: number;
}

/**
 * Writes one FASTA file a family.
 * @param folder made if absent
 */
export async function writeMadeFamilies(
  folder: string,
  { families, members, relatives, seed }: MadeFamilies,
): Promise<void> {
  const [conservedKept, otherKept] = KEPT[relatives];
  const rng = new Rng(seed);
  const letter = () => LETTERS[rng.integer(LETTERS.length)]!;
  const happens = (percent: number) => rng.integer(100) < percent;
  for (let family = 0; family < families; family++) {
    const ancestor = Array.from({ length: LENGTH.least + rng.integer(LENGTH.spread) }, () => ({
      residue: letter(),
      kept: happens(CONSERVED) ? conservedKept : otherKept,
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
