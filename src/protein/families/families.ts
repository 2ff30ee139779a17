/**
 * @file From FASTA files to a labelled set: distinct sequences, families of enough of them, at most so many of each.
 *
 * Recipe HF73, Pareto's own choice: per family keep distinct cleaned sequences, the first header winning; keep families of at least
 * 700; take at most 1,000 of each (HF73-1k). Of the HomFam benchmark's 89 families that leaves 73 with 343,580
 * sequences, 71,473 under the cap.
 */
import { ParetoError } from "../../base/errors.ts";
import { Rng } from "../../base/rng.ts";
import type { SequenceSet } from "../sequenceSet.ts";
import { readFastaGroups } from "../fasta/fasta.ts";
import type { BadRecord, FastaWarning } from "../fasta/fastaRecord.ts";
import { DistinctSequences } from "./distinctSequences.ts";
import { familyOfFile, findFamilyFiles } from "./familyFiles.ts";
import { familyOfHeader, speciesOfHeader } from "./familyOfHeader.ts";

/** How to read families. */
export interface FamilyOptions {
  /** `file`: each file is a family, called by its name; `header`: see {@link familyOfHeader}. */
  familyFrom: "file" | "header";
  /** Smaller families are left out (default 10: fewer cannot be divided 80/10/10). */
  minimum?: number;
  /** Fewest families that are left (default 2: one alone cannot be told from another). */
  leastFamilies?: number;
  /** At most so many sequences of a family, drawn by the seed (default: all). */
  cap?: number;
  /** For the draw under `cap`. */
  seed: number;
  /** Told after each file. */
  onProgress?: (done: number, total: number, unit: "files") => void;
}

/** What was read, and what was not kept. */
export interface FamilyReport {
  files: number;
  /** Good and bad ones. */
  records: number;
  /** How many records could not be used, and the first 20 of them. */
  bad: { count: number; first: (BadRecord & { file: string })[] };
  /** Records whose header names no family. */
  withoutFamily: number;
  /** Sequences that stood in several families; none of their copies is kept. */
  ambiguous: number;
  /** Distinct sequences of all families, the ambiguous ones left out. */
  distinct: number;
  /** Families kept, in the order of their labels, which is that of their names. */
  families: { name: string; distinct: number; kept: number }[];
  /** Sentences on compressed files with bytes behind their data, which are left out, or without bgzip's last block. */
  packing: string[];
  /** Families with fewer than `minimum` sequences. */
  tooSmall: { name: string; distinct: number }[];
}

const SHOWN_BAD_RECORDS = 20;

/**
 * Reads families.
 * @param paths FASTA files and folders of them; `-` is standard input, for `header`
 * @throws ParetoError PROTEIN_NO_FILES, PROTEIN_NO_FAMILY, PROTEIN_ONE_FAMILY, and what {@link readFastaGroups} throws
 */
export async function readFamilies(
  paths: readonly string[],
  options: FamilyOptions,
): Promise<{ set: SequenceSet; report: FamilyReport }> {
  const { familyFrom, minimum = 10, leastFamilies = 2, cap = Infinity, seed, onProgress } = options;
  const files = await findFamilyFiles(paths);
  const sequences = new DistinctSequences();
  const familyIds = new Map<string, number>();
  const speciesTexts = new Map<string, string>();
  const bad: FamilyReport["bad"] = { count: 0, first: [] };
  const packing: string[] = [];
  const onWarning = ({ code, message }: FastaWarning): void => {
    if (code === "FASTA_TRAILING_BYTES" || code === "FASTA_NO_END") packing.push(message);
  };
  let records = 0;
  let withoutFamily = 0;
  for (const [done, file] of files.entries()) {
    const fileFamily = familyFrom === "file" ? familyOfFile(file) : null;
    for await (const group of readFastaGroups(file, { onWarning })) {
      records += group.length;
      for (const record of group) {
        if (record.bad) {
          bad.count++;
          if (bad.first.length < SHOWN_BAD_RECORDS) bad.first.push({ ...record, file });
          continue;
        }
        const family = fileFamily ?? familyOfHeader(record.id, record.description);
        if (family === null) {
          withoutFamily++;
          continue;
        }
        const label = numberOf(familyIds, family);
        const species = interned(speciesTexts, speciesOfHeader(record.id, record.description));
        sequences.add(record.residues, label, record.id, species);
      }
    }
    onProgress?.(done + 1, files.length, "files");
  }
  if (familyIds.size === 0) throw noFamily(files, records, withoutFamily, bad.first[0]);
  const { set, families, tooSmall, ambiguous } = select(sequences, [...familyIds.keys()], minimum, cap, seed);
  if (families.length < leastFamilies) {
    throw tooFewFamilies(files, `${families.length} of ${familyIds.size}`, { minimum, leastFamilies });
  }
  const distinct = sequences.count - ambiguous;
  return {
    set,
    report: {
      files: files.length,
      records,
      bad,
      withoutFamily,
      ambiguous,
      distinct,
      families,
      tooSmall,
      packing,
    },
  };
}

function numberOf(numbers: Map<string, number>, name: string): number {
  let number = numbers.get(name);
  if (number === undefined) {
    number = numbers.size;
    numbers.set(name, number);
  }
  return number;
}

/** One copy of each text, which frees the headers that the others were cut from. */
function interned(texts: Map<string, string>, text: string): string {
  const held = texts.get(text);
  if (held !== undefined) return held;
  texts.set(text, text);
  return text;
}

/** Chooses families and sequences, and labels families by the order of their names. */
function select(
  sequences: DistinctSequences,
  names: readonly string[],
  minimum: number,
  cap: number,
  seed: number,
): {
  set: SequenceSet;
  families: FamilyReport["families"];
  tooSmall: FamilyReport["tooSmall"];
  ambiguous: number;
} {
  const rowsOf: number[][] = names.map(() => []);
  let ambiguous = 0;
  for (let row = 0; row < sequences.count; row++) {
    if (sequences.ambiguous[row]!) ambiguous++;
    else rowsOf[sequences.families[row]!]!.push(row);
  }
  const families: FamilyReport["families"] = [];
  const tooSmall: FamilyReport["tooSmall"] = [];
  const chosen: number[] = [];
  const labels: number[] = [];
  const byName = names.map((name, number) => ({ name, rows: rowsOf[number]! }));
  byName.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const { name, rows } of byName) {
    if (rows.length < Math.max(1, minimum)) {
      tooSmall.push({ name, distinct: rows.length });
      continue;
    }
    const kept = rows.length <= cap ? rows : draw(rows, cap, seed, name);
    for (const row of kept) {
      chosen.push(row);
      labels.push(families.length);
    }
    families.push({ name, distinct: rows.length, kept: kept.length });
  }
  return { set: gatherRows(sequences, chosen, labels, families), families, tooSmall, ambiguous };
}

/** `count` of the rows, in their order; the draw depends on the family's name and not on the other families. */
function draw(rows: readonly number[], count: number, seed: number, name: string): number[] {
  let stream = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) stream = Math.imul(stream ^ name.charCodeAt(i), 0x01000193);
  const order = new Rng(seed, stream).shuffle(Uint32Array.from(rows));
  return [...order.subarray(0, count).sort()];
}

function gatherRows(
  sequences: DistinctSequences,
  rows: readonly number[],
  labels: readonly number[],
  families: readonly { name: string }[],
): SequenceSet {
  const offsets = new Float64Array(rows.length + 1);
  for (const [i, row] of rows.entries()) {
    offsets[i + 1] = offsets[i]! + sequences.offsets[row + 1]! - sequences.offsets[row]!;
  }
  const ids = new Uint8Array(offsets[rows.length]!);
  for (const [i, row] of rows.entries()) {
    ids.set(sequences.ids.subarray(sequences.offsets[row]!, sequences.offsets[row + 1]!), offsets[i]!);
  }
  return {
    ids,
    offsets,
    labels: Int32Array.from(labels),
    count: rows.length,
    families: families.map(({ name }) => name),
    names: rows.map((row) => sequences.names[row]!),
    species: rows.map((row) => sequences.species[row]!),
  };
}

function noFamily(
  files: readonly string[],
  records: number,
  withoutFamily: number,
  bad: BadRecord | undefined,
): ParetoError {
  return new ParetoError({
    code: "PROTEIN_NO_FAMILY",
    where: files.join(", "),
    message:
      withoutFamily > 0
        ? `no header names a family, got ${withoutFamily} records with a sequence`
        : `no record has a sequence that can be used, got ${records} records`,
    fix:
      withoutFamily > 0
        ? "Write family=NAME in the headers or NAME| before the ids, or make a file for each family and take families from files."
        : bad
          ? `Check that these are FASTA files of proteins. The first fault, on line ${bad.line}: ${bad.message}`
          : "Check that these are FASTA files of proteins.",
  });
}

function tooFewFamilies(
  files: readonly string[],
  found: string,
  { minimum, leastFamilies }: Required<Pick<FamilyOptions, "minimum" | "leastFamilies">>,
): ParetoError {
  return new ParetoError({
    code: "PROTEIN_ONE_FAMILY",
    where: files.join(", "),
    message: `at least ${leastFamilies} families of ${minimum} sequences or more are needed, got ${found} families`,
    fix: "Give more families, lower the minimum, or take families from headers when one file holds them all.",
  });
}
