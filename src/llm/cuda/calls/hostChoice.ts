/**
 * @file Decisions of a policy that has no rule for a GPU to follow: its caches' positions and scores come to the host,
 * which decides as `KvCache` does, and slots go back. Right for any policy, and slow: a step waits for each layer.
 */
import { checkedKeep, checkedEvict } from "../../kv/checkedPolicy.ts";
import type { HeadView, KvPolicy } from "../../kv/policy.ts";

/** What one layer's cache holds, as it was copied from a slab or a region. */
export interface CopiedLayer {
  readonly layer: number;
  readonly capacity: number;
  /** `[kvHeads]`; with the new tokens of a read. */
  readonly lengths: Int32Array;
  /** `[kvHeads, capacity]` */
  readonly positions: Int32Array;
  /** `[kvHeads, capacity]`, settled. */
  readonly scores: Float32Array;
}

/** Where a text is. */
export interface SequenceProgress {
  /** Tokens of the text at the end of its last prompt or turn. */
  readonly promptTokens: number;
  readonly tokensSeen: number;
  /** Tokens decoded. */
  readonly step: number;
  /** The model's sliding window. */
  readonly slidingWindow: number | null;
}

/**
 * The slots that stay after a prompt or a turn, of each KV head, in order of slot.
 * @param layers one, or all where they decide together
 * @throws ParetoError KV_POLICY
 */
export function keptByHost(
  policy: KvPolicy,
  layers: readonly CopiedLayer[],
  text: SequenceProgress,
): number[][] {
  return Array.from(layers[0]!.lengths, (_, head) => {
    const view = viewOf(policy, layers, head, text);
    const seen = slotsOf(view).filter((slot) => isSeen(view.positions[slot]!, text));
    if (seen.length <= view.budget) return seen;
    const part: HeadView = {
      ...view,
      length: seen.length,
      positions: Int32Array.from(seen, (slot) => view.positions[slot]!),
      scores: Float32Array.from(seen, (slot) => view.scores[slot]!),
    };
    return checkedKeep(policy, part)
      .map((slot) => seen[slot]!)
      .sort((a, b) => a - b);
  });
}

/**
 * The slots that go after a decoded token, in rounds: a slot of each KV head, −1 for none. The copies follow.
 * @param layers one, or all where they decide together
 * @throws ParetoError KV_POLICY
 */
export function droppedByHost(
  policy: KvPolicy,
  layers: readonly CopiedLayer[],
  text: SequenceProgress,
): Int32Array[] {
  const rounds: Int32Array[] = [];
  for (const head of layers[0]!.lengths.keys()) {
    let round = 0;
    const drop = (slot: number): void => {
      (rounds[round] ??= new Int32Array(layers[0]!.lengths.length).fill(-1))[head] = slot;
      round++;
      for (const layer of layers) dropCopied(layer, head, slot);
    };
    const view = viewOf(policy, layers, head, text);
    for (const slot of slotsOf(view).reverse()) if (!isSeen(view.positions[slot]!, text)) drop(slot);
    const length = () => layers[0]!.lengths[head]!;
    if (length() < view.budget + policy.evictEvery) continue;
    while (length() > view.budget) drop(checkedEvict(policy, viewOf(policy, layers, head, text)));
  }
  return rounds;
}

/** A head as its policy sees it, by the sum of its scores over layers that decide together. */
function viewOf(
  policy: KvPolicy,
  layers: readonly CopiedLayer[],
  kvHead: number,
  { promptTokens, tokensSeen, step }: SequenceProgress,
): HeadView {
  const { layer, capacity, lengths, positions } = layers[0]!;
  const length = lengths[kvHead]!;
  const scores = new Float32Array(length);
  for (const own of layers) {
    const from = kvHead * own.capacity;
    for (let slot = 0; slot < length; slot++) scores[slot]! += own.scores[from + slot]!;
  }
  const from = kvHead * capacity;
  return {
    layer,
    kvHead,
    length,
    positions: positions.slice(from, from + length),
    scores,
    promptTokens,
    tokensSeen,
    step,
    budget: policy.budget(promptTokens),
  };
}

function slotsOf({ length }: HeadView): number[] {
  return Array.from({ length }, (_, slot) => slot);
}

/** Whether a later query sees a position. */
function isSeen(position: number, { tokensSeen, slidingWindow }: SequenceProgress): boolean {
  return slidingWindow === null || position > tokensSeen - slidingWindow;
}

/** The last live entry takes a slot, as `kvEvict.cuh` has it. */
function dropCopied({ capacity, lengths, positions, scores }: CopiedLayer, head: number, slot: number): void {
  const last = --lengths[head]!;
  positions[head * capacity + slot] = positions[head * capacity + last]!;
  scores[head * capacity + slot] = scores[head * capacity + last]!;
}
