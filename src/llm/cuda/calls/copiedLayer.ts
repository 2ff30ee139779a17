/**
 * @file Positions and scores of a layer's cache, copied from a GPU's slab or region so that the host can decide
 * (`kv/decide.ts`) for a policy that has no rule for the kernels to follow. Right for any policy, and slow: a decode
 * step waits for each layer.
 */
import { type DecidedLayer, decideEvicted, decideKept } from "../../kv/decide.ts";
import type { HeadView, KvPolicy } from "../../kv/policy.ts";

/** How far a sequence is. */
export interface SequenceProgress {
  /** Tokens of the sequence at the end of its last prompt or turn. */
  readonly promptTokens: number;
  readonly tokensSeen: number;
  /** Tokens decoded. */
  readonly step: number;
  /** The sliding window of the layers that decide. */
  readonly slidingWindow: number | null;
}

/** What one layer's cache holds. */
export interface CopiedEntries {
  readonly layer: number;
  readonly capacity: number;
  /** `[kvHeads]`; with the new tokens of a prefill. */
  readonly lengths: Int32Array;
  /** `[kvHeads, capacity]` */
  readonly positions: Int32Array;
  /** `[kvHeads, capacity]`, settled. */
  readonly scores: Float32Array;
}

/** A copy that follows the decisions about it. */
class CopiedLayer implements DecidedLayer {
  readonly #entries: CopiedEntries;
  readonly #budget: number;
  readonly #progress: SequenceProgress;

  constructor(entries: CopiedEntries, budget: number, progress: SequenceProgress) {
    this.#entries = entries;
    this.#budget = budget;
    this.#progress = progress;
  }

  view(kvHead: number): HeadView {
    const { layer, capacity, lengths, positions, scores } = this.#entries;
    const { promptTokens, tokensSeen, step } = this.#progress;
    const from = kvHead * capacity;
    const length = lengths[kvHead]!;
    return {
      layer,
      kvHead,
      length,
      positions: positions.subarray(from, from + length),
      scores: scores.subarray(from, from + length),
      promptTokens,
      tokensSeen,
      step,
      budget: this.#budget,
    };
  }

  /** The last live entry takes a slot, as `kvEvict.cuh` has it. */
  drop(kvHead: number, slot: number): void {
    const { capacity, lengths, positions, scores } = this.#entries;
    const last = --lengths[kvHead]!;
    positions[kvHead * capacity + slot] = positions[kvHead * capacity + last]!;
    scores[kvHead * capacity + slot] = scores[kvHead * capacity + last]!;
  }
}

/**
 * The slots that stay after a prefill, of each KV head, in order of slot.
 * @param copies one layer's, or those of all layers where they decide together
 * @throws ParetoError KV_POLICY
 */
export function keptByHost(
  policy: KvPolicy,
  copies: readonly CopiedEntries[],
  progress: SequenceProgress,
): number[][] {
  const layers = layersOf(policy, copies, progress);
  return Array.from(copies[0]!.lengths, (_, kvHead) =>
    decideKept({ policy, layers, kvHead, attentionWindow: progress.slidingWindow }).sort((a, b) => a - b),
  );
}

/**
 * The slots that go after a decoded token, in rounds: a slot of each KV head, −1 for none. The copies follow.
 * @param copies one layer's, or those of all layers where they decide together
 * @throws ParetoError KV_POLICY
 */
export function evictedByHost(
  policy: KvPolicy,
  copies: readonly CopiedEntries[],
  progress: SequenceProgress,
): Int32Array[] {
  const layers = layersOf(policy, copies, progress);
  const kvHeads = copies[0]!.lengths.length;
  const rounds: Int32Array[] = [];
  for (let kvHead = 0; kvHead < kvHeads; kvHead++) {
    let round = 0;
    decideEvicted({ policy, layers, kvHead, attentionWindow: progress.slidingWindow }, (slot) => {
      (rounds[round++] ??= new Int32Array(kvHeads).fill(-1))[kvHead] = slot;
    });
  }
  return rounds;
}

function layersOf(
  policy: KvPolicy,
  copies: readonly CopiedEntries[],
  progress: SequenceProgress,
): CopiedLayer[] {
  const budget = policy.budget(progress.promptTokens);
  return copies.map((entries) => new CopiedLayer(entries, budget, progress));
}
