/**
 * @file The decision of a KV cache policy for one KV head: which entries stay after a prefill, and which go after a
 * decoded token. It is written here once, for caches in host memory and for those of a GPU whose policy has no rule
 * for the kernels to follow. It reads positions and scores alone.
 *
 * Entries beyond the model's sliding window go first, whatever the policy, as no later query sees them. What the policy
 * answers is checked. Where layers decide together (scope `shared`), they hold the same token in the same slot,
 * and their scores are summed.
 */
import { checkedEvict, checkedKeep } from "./checkedPolicy.ts";
import type { HeadView, KvPolicy } from "./policy.ts";

/** A layer's entries as the decision needs them. */
export interface DecidedLayer {
  /** A KV head as its policy sees it. */
  view(kvHead: number): HeadView;
  /** Drops a slot of a KV head: the last live entry takes its place. */
  drop(kvHead: number, slot: number): void;
}

/** Who decides about what. */
export interface DecisionScope {
  policy: KvPolicy;
  /** One layer, or all layers where they decide together. */
  layers: readonly DecidedLayer[];
  kvHead: number;
  /** Tokens that a query sees, itself included; null without a sliding window. */
  attentionWindow: number | null;
}

/**
 * The window of layers that decide together: the widest one, since they keep what any of them sees.
 * @returns null where some layer has none
 */
export function sharedWindow(
  layers: number,
  windowOf: ((layer: number) => number | null) | undefined,
): number | null {
  let widest = 0;
  for (let layer = 0; layer < layers; layer++) {
    const window = windowOf?.(layer) ?? null;
    if (window === null) return null;
    widest = Math.max(widest, window);
  }
  return widest;
}

/** The KV head by the sum of its scores over the layers. */
function decidedHead({ layers, kvHead }: Pick<DecisionScope, "layers" | "kvHead">): HeadView {
  const view = layers[0]!.view(kvHead);
  if (layers.length === 1) return view;
  const scores = new Float32Array(view.scores.length);
  for (const layer of layers) {
    const own = layer.view(kvHead).scores;
    for (let slot = 0; slot < view.length; slot++) scores[slot]! += own[slot]!;
  }
  return { ...view, scores };
}

/**
 * The slots that stay after a prefill: all that a later query can see where they fit the budget, in order of slot;
 * else those that the policy keeps, in order of position.
 * @throws ParetoError KV_POLICY
 */
export function decideKept(scope: DecisionScope): number[] {
  const view = decidedHead(scope);
  const slots = Array.from({ length: view.length }, (_, slot) => slot);
  const seen = slots.filter((slot) => isSeen(view, slot, scope.attentionWindow));
  if (seen.length <= view.budget) return seen;
  if (seen.length === view.length) return checkedKeep(scope.policy, view);
  const part: HeadView = {
    ...view,
    length: seen.length,
    positions: Int32Array.from(seen, (slot) => view.positions[slot]!),
    scores: Float32Array.from(seen, (slot) => view.scores[slot]!),
  };
  return checkedKeep(scope.policy, part).map((slot) => seen[slot]!);
}

/**
 * Evicts after a decoded token, from all layers, until the budget is met.
 * @param onEvict receives each slot before its entry is gone, with the head as it was
 * @throws ParetoError KV_POLICY
 */
export function decideEvicted(scope: DecisionScope, onEvict: (slot: number, view: HeadView) => void): void {
  const { policy, layers, kvHead, attentionWindow } = scope;
  const drop = (slot: number, view: HeadView) => {
    onEvict(slot, view);
    for (const layer of layers) layer.drop(kvHead, slot);
  };
  if (attentionWindow !== null) {
    // From the last slot down: what takes a dropped one's place has been looked at.
    for (let slot = layers[0]!.view(kvHead).length - 1; slot >= 0; slot--)
      if (!isSeen(layers[0]!.view(kvHead), slot, attentionWindow)) drop(slot, decidedHead(scope));
  }
  const { length, budget } = layers[0]!.view(kvHead);
  if (length < budget + policy.evictEvery) return;
  for (let left = length; left > budget; left--) {
    const view = decidedHead(scope);
    drop(checkedEvict(policy, view), view);
  }
}

/** Whether a later query can see a slot's token. */
function isSeen({ positions, tokensSeen }: HeadView, slot: number, attentionWindow: number | null): boolean {
  return attentionWindow === null || positions[slot]! > tokensSeen - attentionWindow;
}
