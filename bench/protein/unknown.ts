/**
 * @file How many sequences of no known family a saved model flags, and how many of known families it lets pass.
 *
 * Unknown are the sequences of the families of a source that the model was not trained on, and known sequences with
 * their residues shuffled, reversed, or drawn anew, uniform over the 20. Known are test sequences of the model's own
 * families: those of the split that it was trained with, drawn again from the same source. The first window of each
 * sequence counts, as in training; the known ones longer than that are measured again whole, as
 * `pareto protein classify` reads them.
 */
import { Readable } from "node:stream";
import { Rng } from "../../src/base/rng.ts";
import { classifyFasta, type Classification } from "../../src/protein/classify/classifyFasta.ts";
import type { SequenceSet } from "../../src/protein/sequenceSet.ts";
import { readFamilies } from "../../src/protein/families/families.ts";
import {
  loadProteinNetwork,
  openProteinModel,
  type ProteinModelFolder,
} from "../../src/protein/savedModel.ts";
import { split, SPLIT_NAMES, type SplitName } from "../../src/protein/splits/split.ts";
import { predictRows } from "../../src/protein/network/predictRows.ts";
import type { ProteinNetwork } from "../../src/protein/network/proteinNetwork.ts";
import type { BenchRow } from "../harness/rows.ts";

/** One kind of sequences. */
export interface FlaggedShare {
  name: string;
  sequences: number;
  /** Share below the model's threshold. */
  flagged: number;
}

/** What was measured. */
export interface UnknownResult {
  bench: "protein unknown";
  model: string;
  threshold: number;
  /** Share of known test sequences that pass. */
  passing: number;
  known: number;
  unknown: FlaggedShare[];
  /** Those of the known that are longer than the network reads, read whole, as they are and reversed; null without any. */
  long: { sequences: number; passing: number; accuracy: number; flaggedReversed: number } | null;
  /** The families that the model does not know, one by one. */
  families: FlaggedShare[];
}

/** What a saved model says of how it was trained. */
interface Trained {
  split?: unknown;
  strict?: unknown;
  cap?: unknown;
  minimum?: unknown;
  dataSeed?: unknown;
}

/** Changes the residues of one sequence in place. */
type Change = (ids: Uint8Array, rng: Rng) => void;

/** Letters by id; padding has none. */
const LETTERS = "-ACDEFGHIKLMNPQRSTVWYX";

const CHANGES: Record<string, Change> = {
  shuffled: (ids, rng) => rng.shuffle(ids),
  reversed: (ids) => ids.reverse(),
  random: (ids, rng) => ids.forEach((_, i) => (ids[i] = 1 + rng.integer(20))),
};

/**
 * Measures a model.
 * @param path a saved model or a run @param sources those that it was trained on
 * @throws Error for a model that does not say how it was trained; ParetoError as reading and loading
 */
export async function measureUnknown(
  path: string,
  sources: readonly string[],
  threads: number,
): Promise<UnknownResult> {
  const folder = await openProteinModel(path);
  const { families, length, threshold, name, trained } = folder.config;
  const { split: by, strict, cap, minimum, dataSeed } = trained as Trained;
  if (!SPLIT_NAMES.includes(by as SplitName) || typeof minimum !== "number" || typeof dataSeed !== "number")
    throw new Error(`the model does not say how its data was divided, got ${JSON.stringify(trained)}`);
  const { set } = await readFamilies(sources, {
    familyFrom: "file",
    minimum,
    ...(typeof cap === "number" && { cap }),
    seed: dataSeed,
  });
  const known = split(set, by as SplitName, dataSeed, { strict: strict === true }).test;
  const all = (await readFamilies(sources, { familyFrom: "file", minimum: 1, seed: dataSeed })).set;
  const network = await loadProteinNetwork(folder, { device: "cpu", threads, batchSize: 128 });
  const flags = async (from: SequenceSet, rows: Uint32Array): Promise<boolean[]> => {
    const probabilities = await predictRows(network, from, rows, length);
    return Array.from(rows, (_, i) => {
      const own = probabilities.subarray(i * families.length, (i + 1) * families.length);
      return Math.max(...own) < threshold;
    });
  };
  const share = (name: string, flagged: readonly boolean[]): FlaggedShare => ({
    name,
    sequences: flagged.length,
    flagged: flagged.filter(Boolean).length / flagged.length,
  });
  try {
    const absent = Uint32Array.from(
      Array.from({ length: all.count }, (_, row) => row).filter(
        (row) => !families.includes(all.families[all.labels[row]!]!),
      ),
    );
    const unknown: FlaggedShare[] = [];
    const single: FlaggedShare[] = [];
    if (absent.length > 0) {
      const flagged = await flags(all, absent);
      const byFamily = Map.groupBy(absent.keys(), (i) => all.families[all.labels[absent[i]!]!]!);
      for (const [family, places] of byFamily)
        single.push(
          share(
            family,
            places.map((i) => flagged[i]!),
          ),
        );
      unknown.push(share(`${single.length} families it was not trained on`, flagged));
    }
    for (const [name, change] of Object.entries(CHANGES)) {
      unknown.push(share(`known ones, ${name}`, await flags(changed(set, known, change), known)));
    }
    const long = await measureLong(network, set, known, folder.config);
    const passing = 1 - share("known", await flags(set, known)).flagged;
    return {
      bench: "protein unknown",
      model: name,
      threshold,
      passing,
      known: known.length,
      unknown,
      long,
      families: single.sort((a, b) => a.flagged - b.flagged),
    };
  } finally {
    await network.dispose();
  }
}

/** Reads whole sequences in windows. */
async function measureLong(
  network: ProteinNetwork,
  set: SequenceSet,
  known: Uint32Array,
  { families, length, threshold }: ProteinModelFolder["config"],
): Promise<UnknownResult["long"]> {
  const rows = known.filter((row) => set.offsets[row + 1]! - set.offsets[row]! > length);
  if (rows.length === 0) return null;
  const classify = async (from: SequenceSet) => {
    const lines = Array.from(rows, (row) => {
      const ids = from.ids.subarray(from.offsets[row]!, from.offsets[row + 1]!);
      return `>${families.indexOf(set.families[set.labels[row]!]!)}\n${Array.from(ids, (id) => LETTERS[id]).join("")}\n`;
    });
    const found: Classification[] = [];
    for await (const group of classifyFasta(network, Readable.from(lines), { families, length, threshold })) {
      for (const record of group) if (!record.bad) found.push(record);
    }
    return found;
  };
  const asTheyAre = await classify(set);
  const backwards = await classify(changed(set, rows, CHANGES["reversed"]!));
  const share = (found: readonly Classification[], counts: (record: Classification) => boolean) =>
    found.filter(counts).length / found.length;
  return {
    sequences: rows.length,
    passing: share(asTheyAre, ({ isUnknown }) => !isUnknown),
    accuracy: share(asTheyAre, ({ id, candidates }) => candidates[0]!.family === families[Number(id)]),
    flaggedReversed: share(backwards, ({ isUnknown }) => isUnknown),
  };
}

/** A set with some of its sequences changed. */
function changed(set: SequenceSet, rows: Uint32Array, change: Change): SequenceSet {
  const ids = set.ids.slice();
  const rng = new Rng(5);
  for (const row of rows) change(ids.subarray(set.offsets[row]!, set.offsets[row + 1]!), rng);
  return { ...set, ids };
}

/** What is asked for: so much of the unknown flagged where so much of the known passes. */
const LEAST_FLAGGED = 0.8;
const LEAST_PASSING = 0.95;

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;

/** The lines of the table. */
export function unknownRows({
  model,
  threshold,
  passing,
  known,
  unknown,
  long,
  families,
}: UnknownResult): BenchRow[] {
  const row = (
    name: string,
    sequences: number,
    figure: string,
    [value, least]: [value: number, least: number | null],
  ): BenchRow => ({
    case: name,
    size: `${sequences.toLocaleString("en-US")} sequences`,
    milliseconds: null,
    figure,
    limit: `${model}, threshold ${threshold.toFixed(4)}`,
    ratio: value,
    target: least === null ? "" : `≥ ${least.toFixed(2)}`,
    met: least === null ? null : value >= least,
  });
  return [
    row("known, test part", known, `${percent(passing)} pass`, [passing, LEAST_PASSING]),
    ...unknown.map(({ name, sequences, flagged }) =>
      row(name, sequences, `${percent(flagged)} flagged`, [flagged, LEAST_FLAGGED]),
    ),
    ...(long
      ? [
          row(
            "known, longer than a window, whole",
            long.sequences,
            `${percent(long.passing)} pass, ${percent(long.accuracy)} right; reversed ${percent(long.flaggedReversed)} flagged`,
            [long.passing, null],
          ),
        ]
      : []),
    ...families.map(({ name, sequences, flagged }) =>
      row(`family ${name}`, sequences, `${percent(flagged)} flagged`, [flagged, null]),
    ),
  ];
}
