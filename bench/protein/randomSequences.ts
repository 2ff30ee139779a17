/** @file Random proteins: labelled sets to train on, and FASTA files to classify. Residues are uniform over the 20. */
import { createWriteStream } from "node:fs";
import { once } from "node:events";
import { finished } from "node:stream/promises";
import { Rng } from "../../src/base/rng.ts";
import type { SequenceSet } from "../../src/protein/sequenceSet.ts";

/** Draws a length. */
export type LengthDraw = (rng: Rng) => number;

const RESIDUES = "ACDEFGHIKLMNPQRSTVWY";
/** Shares of HF73's 343,580 sequences that are no longer than so many residues. */
const HF73_LENGTHS = [
  [0, 12],
  [0.25, 64],
  [0.5, 112],
  [0.75, 188],
  [0.95, 350],
  [0.99, 475],
  [1, 725],
] as const;
/** Records put together before they are written. */
const CHUNK = 2000;

/** Lengths spread as in HF73, the 73 families of the HomFam benchmark. */
export const naturalLength: LengthDraw = (rng) => {
  const share = rng.uniform();
  const above = HF73_LENGTHS.findIndex(([limit]) => share < limit);
  const [[low, from], [high, to]] = [HF73_LENGTHS[above - 1]!, HF73_LENGTHS[above]!];
  return Math.round(from + ((to - from) * (share - low)) / (high - low));
};

/** A labelled set. */
export function randomSet(count: number, families: number, draw: LengthDraw, seed: number): SequenceSet {
  const rng = new Rng(seed);
  const offsets = new Float64Array(count + 1);
  for (let i = 0; i < count; i++) offsets[i + 1] = offsets[i]! + draw(rng);
  return {
    ids: Uint8Array.from({ length: offsets[count]! }, () => 1 + rng.integer(RESIDUES.length)),
    offsets,
    labels: Int32Array.from({ length: count }, () => rng.integer(families)),
    count,
    families: Array.from({ length: families }, (_, c) => `family${c}`),
    names: Array.from({ length: count }, (_, i) => `s${i}`),
    species: Array.from({ length: count }, () => ""),
  };
}

/** Writes a FASTA file, in lines of 60 residues. */
export async function writeRandomFasta(
  path: string,
  count: number,
  draw: LengthDraw,
  seed: number,
): Promise<void> {
  const rng = new Rng(seed);
  // A long text to cut sequences from: drawing every residue would take longer than classifying it.
  const text = Array.from({ length: 1 << 18 }, () => RESIDUES[rng.integer(RESIDUES.length)]).join("");
  const file = createWriteStream(path);
  let chunk = "";
  for (let i = 0; i < count; i++) {
    const length = draw(rng);
    const start = rng.integer(text.length - length);
    chunk += `>s${i} random\n`;
    for (let at = 0; at < length; at += 60) {
      chunk += `${text.slice(start + at, start + Math.min(at + 60, length))}\n`;
    }
    if ((i + 1) % CHUNK > 0 && i + 1 < count) continue;
    if (!file.write(chunk)) await once(file, "drain");
    chunk = "";
  }
  file.end();
  await finished(file);
}
