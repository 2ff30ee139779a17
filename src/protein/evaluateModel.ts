/**
 * @file The quality of a saved protein model on labelled sequences that it was not trained on: how often it names the right
 * family, and which share of the sequences it calls unknown.
 *
 * Sequences are read as in training: distinct ones, longer ones by their first residues. They are labelled by the names of
 * their families; those of families that the model does not know measure only whether it says so.
 */
import { ParetoError } from "../base/errors.ts";
import { multiclassMetrics, type MulticlassMetrics } from "../run/metrics/multiclass.ts";
import { readFamilies, type FamilyOptions } from "./families/families.ts";
import { familyNotices } from "./families/familyNotices.ts";
import type { ProteinModelConfig } from "./savedModel.ts";
import { highestProbabilities } from "./threshold/thresholdPolicy.ts";
import { predictRows } from "./network/predictRows.ts";
import type { ProteinNetwork } from "./network/proteinNetwork.ts";

/** What to evaluate on. */
export interface EvaluateProteinOptions {
  /** FASTA files and folders of them. */
  paths: readonly string[];
  /** What names a sequence's family: its file, or its header. */
  familyFrom: FamilyOptions["familyFrom"];
  /** Below this probability a sequence is unknown. Defaults to the model's own threshold. */
  threshold?: number;
  /** Receives how many sequences are done, and how many there are. */
  onProgress?: (done: number, total: number) => void;
  /** Receives a sentence for each kind of record that is left out. */
  onNotice?: (message: string) => void;
}

/** Sequences, and how many of them are called unknown. */
export interface UnknownShare {
  sequences: number;
  /** Of how many families. */
  families: number;
  /** Share whose largest probability is below the threshold; NaN without sequences. */
  unknown: number;
}

/** What was measured. */
export interface ProteinEvaluation {
  /** Over the sequences of the model's families, whatever is called unknown. Classes are the model's families. */
  metrics: MulticlassMetrics;
  threshold: number;
  /** Of the model's families: what is unknown is a sequence missed. */
  known: UnknownShare;
  /** Of other families: what is unknown is rightly so. Null without any. */
  others: UnknownShare | null;
}

/**
 * Evaluates a model.
 * @param network of {@link loadProteinNetwork} @param config of the same model
 * @throws ParetoError PROTEIN_NO_KNOWN_FAMILY when the model knows none of the families, and what reading families throws
 */
export async function evaluateProteinModel(
  network: ProteinNetwork,
  config: Pick<ProteinModelConfig, "families" | "length" | "threshold">,
  { paths, familyFrom, threshold = config.threshold, onProgress, onNotice }: EvaluateProteinOptions,
): Promise<ProteinEvaluation> {
  const { families, length } = config;
  const { set, report } = await readFamilies(paths, { familyFrom, minimum: 1, leastFamilies: 1, seed: 0 });
  for (const message of familyNotices(report)) onNotice?.(message);
  const classes = new Map(families.map((name, label) => [name, label]));
  const labels = Int32Array.from(set.labels, (label) => classes.get(set.families[label]!) ?? -1);
  const rows = Uint32Array.from(labels.keys());
  const known = rows.filter((row) => labels[row]! >= 0);
  const others = rows.filter((row) => labels[row]! < 0);
  if (known.length === 0) throw noKnownFamily(set.families, families);
  const predict = (chosen: Uint32Array, before: number) =>
    predictRows(network, set, chosen, length, {
      onProgress: (done) => onProgress?.(before + done, rows.length),
    });
  const shareOf = (chosen: Uint32Array, probabilities: Float32Array): UnknownShare => ({
    sequences: chosen.length,
    families: new Set(Array.from(chosen, (row) => set.labels[row]!)).size,
    unknown:
      highestProbabilities(probabilities, families.length).filter((p) => p < threshold).length /
      chosen.length,
  });
  const probabilities = await predict(known, 0);
  return {
    metrics: multiclassMetrics(
      probabilities,
      Int32Array.from(known, (row) => labels[row]!),
      families.length,
    ),
    threshold,
    known: shareOf(known, probabilities),
    others: others.length === 0 ? null : shareOf(others, await predict(others, known.length)),
  };
}

function noKnownFamily(found: readonly string[], families: readonly string[]): ParetoError {
  const some = (names: readonly string[]) =>
    `${names.slice(0, 5).join(", ")}${names.length > 5 ? ", …" : ""}`;
  return new ParetoError({
    code: "PROTEIN_NO_KNOWN_FAMILY",
    where: "evaluateProteinModel",
    message: `the model knows none of the sequences' families, got ${some(found)}`,
    fix: `Name the files, or the families in the headers, as the model's families are: ${some(families)}.`,
  });
}
