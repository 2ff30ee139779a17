/** @file A run's sequences: read, divided, and notices of what was left out. */
import { crc32 } from "node:zlib";
import { ParetoError } from "../../base/errors.ts";
import { viewBytes } from "../../base/dtype.ts";
import type { OnEvent } from "../../run/events.ts";
import { rowsByFamily, type SequenceSet } from "../sequenceSet.ts";
import { readFamilies, type FamilyReport } from "../families/families.ts";
import { familyNotices } from "../families/familyNotices.ts";
import { split, type SequenceSplit } from "../splits/split.ts";
import type { ProteinData } from "./proteinConfig.ts";

/**
 * Reads and divides.
 * @throws ParetoError `PROTEIN_EMPTY_PART`, `PROTEIN_SMALL_FAMILY`, `PROTEIN_UNTRAINED_FAMILY`, and what reading families throws
 */
export async function readProteinData(
  data: ProteinData,
  onEvent: OnEvent,
): Promise<{ set: SequenceSet; report: FamilyReport; parts: SequenceSplit }> {
  const { set, report } = await readFamilies(data.paths, {
    familyFrom: data.familyFrom,
    minimum: data.minimum,
    ...(data.cap !== null && { cap: data.cap }),
    seed: data.dataSeed,
    onProgress: (done, total, unit) =>
      onEvent({ event: "progress", task: "read", done, total, unit, rate: null }),
  });
  requireSizes(set, data);
  const parts = split(set, data.split, data.dataSeed, { strict: data.strict });
  requireParts(parts, data);
  for (const message of [...familyNotices(report), ...missingFamilies(set, parts, data)]) {
    onEvent({ event: "notice", level: "warning", code: "PROTEIN_DATA", message });
  }
  return { set, report, parts };
}

/** A number that changes when the sequences, their order or their labels do. */
export function fingerprintOf(set: SequenceSet): number {
  const labelled = crc32(viewBytes(set.labels), crc32(viewBytes(set.offsets), crc32(set.ids)));
  return crc32(set.families.join("\n"), labelled);
}

function requireParts(parts: SequenceSplit, data: ProteinData): void {
  const empty = (["train", "validation", "test"] as const).find((name) => parts[name].length === 0);
  if (empty === undefined) return;
  throw new ParetoError({
    code: "PROTEIN_EMPTY_PART",
    where: `--split ${data.split}`,
    message: `the split leaves no sequence in the ${empty} part, got ${parts.train.length} for training, ${parts.validation.length} for validation and ${parts.test.length} for the test`,
    fix: `Give more sequences${easierSplit(data)}.`,
  });
}

/** What would hold out less than the split in use, as the end of an instruction. */
function easierSplit({ split: name, strict }: ProteinData): string {
  return `${name === "random" ? "" : ", or take --split random"}${strict ? ", or leave out --strict" : ""}`;
}

/** Sequences of a family that stands in every part. */
const LEAST = 3;

/** Names of families, the first of many. */
function some(names: readonly string[]): string {
  const shown = names.slice(0, 5).join(", ");
  return names.length > 5 ? `${shown} and ${names.length - 5} more` : shown;
}

/** @throws ParetoError `PROTEIN_SMALL_FAMILY` for families that cannot stand in every part, whatever the split */
function requireSizes(set: SequenceSet, data: ProteinData): void {
  const small = rowsByFamily(set).flatMap((rows, f) =>
    rows.length < LEAST ? [`${set.families[f]!} (${rows.length})`] : [],
  );
  if (small.length === 0) return;
  throw new ParetoError({
    code: "PROTEIN_SMALL_FAMILY",
    where: "--min-family",
    message: `training, validation and test need a sequence of each family, so that ${LEAST} are the least, got ${some(small)}`,
    fix: `Leave such families out with --min-family ${Math.max(LEAST, data.minimum)}, or give more sequences of them.`,
  });
}

/**
 * What is to be said of families that a split keeps out of a part.
 * @throws ParetoError `PROTEIN_UNTRAINED_FAMILY` for families without a training sequence, which no network can learn
 */
function missingFamilies(set: SequenceSet, parts: SequenceSplit, data: ProteinData): string[] {
  const missingIn = (part: keyof SequenceSplit): string[] => {
    const seen = new Set(Array.from(parts[part], (row) => set.labels[row]!));
    return set.families.filter((_, f) => !seen.has(f));
  };
  const untrained = missingIn("train");
  if (untrained.length > 0) {
    throw new ParetoError({
      code: "PROTEIN_UNTRAINED_FAMILY",
      where: `--split ${data.split}`,
      message: `the split leaves families without a training sequence, got ${some(untrained)}`,
      fix: `Raise --min-family${easierSplit(data)}.`,
    });
  }
  return (["validation", "test"] as const).flatMap((part) => {
    const missing = missingIn(part);
    return missing.length === 0
      ? []
      : [
          `the ${data.split} split leaves no ${part} sequence of ${some(missing)}: its figures say nothing of them`,
        ];
  });
}
