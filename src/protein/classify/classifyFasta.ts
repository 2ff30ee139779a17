/**
 * @file From FASTA records to families, in the order of the file and in constant memory: windows go through the network
 * in batches, and records are given out, some at once, when all before them are done too. Some hundred are under way.
 */
import { untilFailure, type Failure } from "../../base/untilFailure.ts";
import type { FastaSource } from "../fasta/fastaBytes.ts";
import { encodeInto } from "../alphabet.ts";
import { readFastaGroups } from "../fasta/fasta.ts";
import type { BadRecord, FastaOptions, FastaRecord } from "../fasta/fastaRecord.ts";
import type { Predicted, ProteinNetwork } from "../network/proteinNetwork.ts";
import { AttentionTrack, type AttentionSpan } from "./attentionTrack.ts";
import { WindowBatches, type WindowOwner } from "./windowBatches.ts";
import { windowCount, windowsOf, type Window } from "./windows.ts";

/** A family that a sequence may belong to. */
export interface Candidate {
  family: string;
  /** The highest of the sequence's windows, so that those of a long sequence may add up to more than 1. */
  probability: number;
  /** The residues of the window of this probability, from 1, both ends included. */
  start: number;
  end: number;
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
  /** How many candidates of a sequence are listed. Defaults to 1. */
  top?: number;
  /** Whether to say where the network looked, if it has attention. Defaults to false. */
  attention?: boolean;
}

/** Records given out at once, where so many are done. */
const GROUP = 64;

/**
 * Classifies records.
 * @param source a path, `-` for standard input, or a stream of bytes
 * @returns records in groups, in the order of the source; those that cannot be used stand in their place
 * @throws ParetoError as `readFasta`, once all records that were read before are given out
 */
export async function* classifyFasta(
  network: ProteinNetwork,
  source: FastaSource,
  options: ClassifyOptions,
): AsyncGenerator<(Classification | BadRecord)[]> {
  const { length } = options;
  const perStep = options.attention === true ? network.model.residuesPerStep : null;
  const batches = new WindowBatches(network, length, perStep !== null);
  const spare: Best[] = [];
  let ids = new Uint8Array(0);
  /** Records that are not given out yet, in their order. */
  let waiting: (PendingRecord | BadRecord)[] = [];
  const taken = (count: number): (Classification | BadRecord)[] => {
    const group = waiting.slice(0, count).map((record) => {
      if (record.bad) return record;
      spare.push(record.best);
      return record.classification(options);
    });
    waiting = waiting.slice(count);
    return group;
  };
  const done = (): number => {
    const first = waiting.findIndex((record) => !record.bad && record.left > 0);
    return first < 0 ? waiting.length : first;
  };
  const failure: Failure = { error: null };
  for await (const records of untilFailure(readFastaGroups(source, options), failure)) {
    for (const record of records) {
      if (record.bad) waiting.push(record);
      else {
        const residues = record.residues.length;
        const best = spare.pop() ?? newBest(options.families.length);
        const pending = new PendingRecord(record, windowCount(residues, length), best, perStep);
        waiting.push(pending);
        if (ids.length < residues) ids = new Uint8Array(residues);
        encodeInto(record.residues, ids, 0);
        for (const window of windowsOf(residues, length)) {
          const wait = batches.add(ids, window, pending);
          if (wait) await wait;
        }
      }
      if (waiting.length % GROUP > 0) continue;
      const count = done();
      if (count >= GROUP) yield taken(count);
    }
  }
  await batches.flush();
  if (waiting.length > 0) yield taken(waiting.length);
  if (failure.error !== null) throw failure.error;
}

/**
 * Over the windows of a record so far. Not their mean: a domain stands in one or two of a long protein's windows, and
 * the others say nothing of it.
 */
interface Best {
  /** `[C]`: the highest probability of each family. */
  highest: Float64Array;
  /** `[C]`: the window `[start, end)` of that probability, the first among equals. */
  starts: Uint32Array;
  ends: Uint32Array;
}

function newBest(families: number): Best {
  return {
    highest: new Float64Array(families),
    starts: new Uint32Array(families),
    ends: new Uint32Array(families),
  };
}

/** A record, some of whose windows are still to come. */
class PendingRecord implements WindowOwner {
  readonly bad = false;
  readonly #record: FastaRecord;
  readonly #windows: number;
  readonly #track: AttentionTrack | null;
  readonly best: Best;
  /** Windows to come. */
  left: number;

  constructor(record: FastaRecord, windows: number, best: Best, perStep: number | null) {
    this.#record = record;
    this.#windows = windows;
    this.#track = perStep === null ? null : new AttentionTrack(record.residues.length, perStep);
    best.highest.fill(-1);
    this.best = best;
    this.left = windows;
  }

  take(window: Window, { probabilities, attention }: Predicted, row: number): void {
    const { highest, starts, ends } = this.best;
    const from = row * highest.length;
    for (let c = 0; c < highest.length; c++) {
      const probability = probabilities[from + c]!;
      // Windows of one record may come back in another order than that of the sequence.
      const isEarlier = probability === highest[c]! && window.start < starts[c]!;
      if (probability <= highest[c]! && !isEarlier) continue;
      highest[c] = probability;
      starts[c] = window.start;
      ends[c] = window.end;
    }
    this.left--;
    if (!attention) return;
    const steps = (attention.length * highest.length) / probabilities.length;
    this.#track?.add(window, attention.subarray(row * steps, (row + 1) * steps));
  }

  /** What was found, once no window is to come. */
  classification({ families, threshold, top = 1 }: ClassifyOptions): Classification {
    const { highest, starts, ends } = this.best;
    const windows = this.#windows;
    const candidates = mostProbable(highest, top).map((c) => ({
      family: families[c]!,
      probability: Math.min(1, highest[c]!),
      start: starts[c]! + 1,
      end: ends[c]!,
    }));
    const isUnknown = candidates[0]!.probability < threshold;
    const attention = this.#track && { attention: this.#track.spans() };
    return { ...this.#record, candidates, isUnknown, windows, ...attention };
  }
}

/** Numbers of the highest values, those first that come first among equals. */
function mostProbable(values: Float64Array, top: number): number[] {
  if (top === 1) {
    let first = 0;
    for (let c = 1; c < values.length; c++) if (values[c]! > values[first]!) first = c;
    return [first];
  }
  return Array.from(values, (_, c) => c)
    .sort((a, b) => values[b]! - values[a]! || a - b)
    .slice(0, top);
}
