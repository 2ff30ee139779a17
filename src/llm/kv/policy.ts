/**
 * @file What every policy of the KV cache implements.
 *
 * A policy receives the true position and the score of each cached entry of one KV head and answers which entries stay
 * after the prompt, and which one goes in decode. It holds no keys, no values and no model. What the scores are it
 * says in {@link KvPolicy.scoring}; whoever runs attention measures them (`ScoreRows` does it on the host).
 */
import type { Temperature } from "./temperature.ts";

/** Noise added to logits for scoring only; `gaussian` and `constant` have the mean (and deviation) of Gumbel(0, 1). */
export type NoiseKind = "gumbel" | "gaussian" | "constant" | "none";

/** How the query heads that share a KV head become one score. */
export type GroupReduce = "mean" | "sum" | "max";

/** Scores from attention: softmax((logits + noise) / temperature) over the visible keys, a row for each query. */
export interface AttentionScoring {
  from: "attention";
  /**
   * `accumulate`: the sum of all rows since an entry came; `last`: the newest row alone; `window`: the sum of the
   * rows of the prompt's last `window` queries, with no rows in decode.
   */
  rows: "accumulate" | "last" | "window";
  /**
   * What a score is multiplied by before the row of a decoded token is added (`rows: "accumulate"`); 1 when left out. The
   * rows of a prompt or a turn are summed as they are.
   */
  damping?: number;
  /** How many of the prompt's last queries are scored under `rows: "window"`, for a prompt of so many tokens. */
  window?: (promptTokens: number) => number;
  /** Odd width of the average taken over neighbouring positions after the prompt (`rows: "window"`); 1 takes none. */
  pool?: number;
  /** The scoring temperature at a step: 0 is the prompt, 1 the first token decoded. */
  temperature: Temperature;
  noise: NoiseKind;
  /** `fresh`: noise for each query and key; `per-key`: one draw a key, kept. */
  noiseReuse: "fresh" | "per-key";
  groupReduce: GroupReduce;
  /** Whether each KV head decides by its own scores, or all heads of a layer by their mean. */
  heads: "each" | "mean";
}

/** What the scores are: attention, minus the L2 norm of the key, a uniform draw for each entry, or nothing. */
export type Scoring = AttentionScoring | { from: "keyNorm" } | { from: "random" } | { from: "nothing" };

/** One KV head of one layer of one sequence, as a policy sees it. Slots 0 … length − 1 are live, in no order. */
export interface HeadView {
  layer: number;
  kvHead: number;
  length: number;
  /** Position in the whole sequence of each slot's token. Longer than `length` where the cache has spare slots. */
  positions: Int32Array;
  /** Score of each slot, float32. All zero when the policy scores nothing. */
  scores: Float32Array;
  /** Tokens of the prompt. */
  promptTokens: number;
  /** Tokens seen so far, kept or not; the newest one's position is `tokensSeen − 1`. */
  tokensSeen: number;
  /** 0 after the prompt, then the number of tokens decoded. */
  step: number;
  /** Most entries that may stay. */
  budget: number;
}

/** How the entries of a head are chosen under one budget. */
export interface EvictionRule {
  /** Positions below this stay after a prompt, part of the budget. */
  readonly sinks: number;
  /** So many newest positions stay, part of the budget. */
  readonly recent: number;
  /** Which of the others stay after a prompt: those with the highest scores, or the newest. */
  readonly keep: "score" | "age";
  /** Which entry goes in decode: the one with the lowest score, or the oldest. */
  readonly evict: "score" | "age";
  /** Positions below this never go in decode. */
  readonly evictFrom: number;
  /** Whether the position just before the newest ones goes in any case, as in the authors' masks of Keyformer. */
  readonly hasGap: boolean;
}

/**
 * Decides what one layer's cache of one sequence keeps. Every method is a pure function of its arguments.
 *
 * A policy that gives its decisions as a `rule` is followed on a GPU; without one, scores come to the host for each
 * decision.
 */
export interface KvPolicy {
  readonly name: string;
  readonly scoring: Scoring;
  /** Whether an entry keeps its position in the sequence, or is numbered anew by its rank among the kept ones. */
  readonly positions: "original" | "new";
  /** Whether each layer decides for itself, or all layers by the sum of their scores. */
  readonly scope: "layer" | "shared";
  /** Tokens decoded between evictions; the cache holds up to `budget + evictEvery` entries. */
  readonly evictEvery: number;
  /** Most entries that a KV head keeps for a prompt of so many tokens; `Infinity` never evicts. */
  budget(promptTokens: number): number;
  /** After the whole prompt, where it is longer than the budget: the slots that stay, at most `head.budget`. */
  keep(head: HeadView): number[];
  /** In decode, while more than `head.budget` entries are live: the slot that goes. */
  evict(head: HeadView): number;
  /** The decisions of `keep` and `evict` as data. */
  readonly rule?: (budget: number, promptTokens: number) => EvictionRule;
}

/** What is known when a policy is made from its definition. */
export interface KvPolicyContext {
  /** Tokens that will be generated: the horizon of Keyformer's temperature. */
  maxNewTokens: number;
}

/** The policy of each layer of a model. */
export type LayerPolicies = (layer: number) => KvPolicy;

/** What a policy decided for one KV head. */
export interface KvDecision {
  kind: "keep" | "evict";
  /** −1 where all layers decide together. */
  layer: number;
  kvHead: number;
  /** 0 after the prompt, then the number of tokens decoded. */
  step: number;
  /** Positions that stay (`keep`, ascending) or the one that goes (`evict`). */
  positions: number[];
}
