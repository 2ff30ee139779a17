/**
 * @file From FASTA records to families, in the order of the file and in constant memory: records are taken in groups,
 * a group's windows are predicted in batches, and the group is given out before the next is read.
 */
import type { Readable } from "node:stream";
import { encodeResidues } from "../alphabet.ts";
import { readFastaGroups } from "../fasta.ts";
import type { BadRecord, FastaOptions, FastaRecord } from "../fastaRecord.ts";
import type { ProteinNetwork } from "../training/proteinNetwork.ts";
import { AttentionTrack, type AttentionSpan } from "./attentionTrack.ts";
import { WindowBatches } from "./windowBatches.ts";
import { windowCount, windowsOf } from "./windows.ts";

/** A family that a sequence may belong to. */
export interface Candidate {
  family: string;
  /** Mean over the sequence's windows. */
  probability: number;
}

/** What was found of a record. */
export interface Classification {
  bad: false;
  id: string;
  description: string;
  /** The header's line, from 1. */
  line: number;
  residues: string;
  /** The most probable families, by falling probability. */
  candidates: Candidate[];
  /** Whether the first candidate's probability is below the threshold. */
  isUnknown: boolean;
  /** Windows that the sequence was read in. */
  windows: number;
  /** Where the network looked; of a network with attention, when it was asked for. */
  attention?: AttentionSpan[];
}

/** How to classify. */
export interface ClassifyOptions extends FastaOptions {
  families: readonly string[];
  /** Residues that the network reads. */
  length: number;
  /** Below this probability a sequence is of no known family. */
  threshold: number;
  /** Candidates of a sequence; 1 unless told. */
  top?: number;
  attention?: boolean;
}

/** Windows of a group of records. */
const GROUP_WINDOWS = 2048;

/**
 * Classifies records.
 * @param source a path, `-` for standard input, or a stream of bytes
 * @returns records in groups, in the order of the source; those that cannot be used stand in their place
 * @throws ParetoError as `readFasta`
 */
export async function* classifyFasta(
  network: ProteinNetwork,
  source: string | Readable,
  options: ClassifyOptions,
): AsyncGenerator<(Classification | BadRecord)[]> {
  let group: (FastaRecord | BadRecord)[] = [];
  let windows = 0;
  for await (const records of readFastaGroups(source, options)) {
    for (const record of records) {
      group.push(record);
      windows += record.bad ? 1 : windowCount(record.residues.length, options.length);
      if (windows < GROUP_WINDOWS) continue;
      yield await classifyGroup(network, group, options);
      group = [];
      windows = 0;
    }
  }
  if (group.length > 0) yield await classifyGroup(network, group, options);
}

async function classifyGroup(
  network: ProteinNetwork,
  group: readonly (FastaRecord | BadRecord)[],
  options: ClassifyOptions,
): Promise<(Classification | BadRecord)[]> {
  const { length, families } = options;
  const { residuesPerStep } = network.model;
  const withAttention = options.attention === true && residuesPerStep !== null;
  const batches = new WindowBatches(network, length, withAttention);
  const sums: (Float64Array | null)[] = [];
  const tracks: (AttentionTrack | null)[] = [];
  for (const record of group) {
    if (record.bad) {
      sums.push(null);
      tracks.push(null);
      continue;
    }
    const ids = encodeResidues(record.residues);
    const sum = new Float64Array(families.length);
    const track = withAttention ? new AttentionTrack(ids.length, residuesPerStep) : null;
    sums.push(sum);
    tracks.push(track);
    for (const window of windowsOf(ids.length, length)) {
      await batches.add(ids.subarray(window.start, window.end), (probabilities, attention) => {
        for (let c = 0; c < sum.length; c++) sum[c]! += probabilities[c]!;
        if (attention) track?.add(window, attention);
      });
    }
  }
  await batches.flush();
  return group.map((record, i) => {
    if (record.bad) return record;
    const windows = windowCount(record.residues.length, length);
    const candidates = best(sums[i]!, windows, options);
    const track = tracks[i];
    return {
      ...record,
      candidates,
      isUnknown: candidates[0]!.probability < options.threshold,
      windows,
      ...(track && { attention: track.spans() }),
    };
  });
}

/** The most probable families, those first that come first among equals. */
function best(sum: Float64Array, windows: number, { families, top = 1 }: ClassifyOptions): Candidate[] {
  const order = Array.from(sum, (_, c) => c).sort((a, b) => sum[b]! - sum[a]! || a - b);
  return order
    .slice(0, top)
    .map((c) => ({ family: families[c]!, probability: Math.min(1, sum[c]! / windows) }));
}
