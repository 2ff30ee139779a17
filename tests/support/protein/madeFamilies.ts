/** @file Made-up families as FASTA files: random sequences with a family's two motifs in them, some residues changed. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Rng } from "../../../src/base/rng.ts";
import { randomResidues } from "./sequences.ts";

/** A made record. */
export interface MadeRecord {
  id: string;
  family: string;
  residues: string;
}

/** Records of `families` families called fam0, fam1, …; the same for the same seed. */
export function madeRecords(seed: number, families: number, perFamily: number): MadeRecord[] {
  const rng = new Rng(seed);
  const records: MadeRecord[] = [];
  for (let f = 0; f < families; f++) {
    const motifs = [randomResidues(rng, 12), randomResidues(rng, 9)];
    for (let i = 0; i < perFamily; i++) {
      const parts = motifs.flatMap((motif) => {
        const letters = [...motif];
        letters[rng.integer(letters.length)] = randomResidues(rng, 1);
        return [randomResidues(rng, rng.integer(12)), letters.join("")];
      });
      const residues = parts.join("") + randomResidues(rng, rng.integer(20));
      records.push({ id: `P${f}_${i}_SP${rng.integer(40)}`, family: `fam${f}`, residues });
    }
  }
  return records;
}

/** Records as FASTA text, wrapped at 60. */
export function fastaText(records: readonly Pick<MadeRecord, "id" | "residues">[]): string {
  return records.map(({ id, residues }) => `>${id}\n${residues.replaceAll(/.{60}/g, "$&\n")}\n`).join("");
}

/** Writes one file a family into a folder. */
export async function writeFamilies(directory: string, records: readonly MadeRecord[]): Promise<void> {
  await mkdir(directory, { recursive: true });
  for (const family of new Set(records.map((record) => record.family))) {
    await writeFile(
      join(directory, `${family}.fasta`),
      fastaText(records.filter((record) => record.family === family)),
    );
  }
}
