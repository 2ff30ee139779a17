/** @file A run's sequences: read, divided, and notices of what was left out. */
import { crc32 } from "node:zlib";
import { ParetoError } from "../../base/errors.ts";
import { viewBytes } from "../../base/dtype.ts";
import type { OnEvent } from "../../run/events.ts";
import type { SequenceSet } from "../sequenceSet.ts";
import { readFamilies, type FamilyReport } from "../families/families.ts";
import { familyNotices } from "../families/familyNotices.ts";
import { split, type SequenceSplit } from "../splits/split.ts";
import type { ProteinData } from "./proteinConfig.ts";

/**
 * Reads and divides.
 * @throws ParetoError `PROTEIN_EMPTY_PART`, and what reading families throws
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
  const parts = split(set, data.split, data.dataSeed, { strict: data.strict });
  requireParts(parts, data);
  for (const message of familyNotices(report)) {
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
    fix: "Give more sequences, or take --split random.",
  });
}
