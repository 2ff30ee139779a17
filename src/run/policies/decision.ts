/**
 * @file The record of a policy's decision: which policy, about what, what it saw and what it chose. One line each in a
 * run's `decisions.jsonl`; the report is drawn from them.
 */

/** Named values of a decision, plain data. */
export type Figures = Readonly<Record<string, number | string | boolean | null>>;

interface Decision<Kind, Saw, Chose> {
  event: "decision";
  /** Name of the policy, e.g. `keyformer`. */
  policy: string;
  kind: Kind;
  /** Optimizer steps or decoded tokens before it; 0 before the first. */
  step: number;
  /** What the decision is about, e.g. a sequence's id, a table's name, `validation`. */
  subject: string;
  /** The statistics that the policy was given. */
  saw: Saw;
  /** What it answered. */
  chose: Chose;
}

/** What a KV cache policy saw of one KV head; layer −1 where all layers decide together. */
export interface KvHeadStatistics {
  layer: number;
  kvHead: number;
}

/** Positions in the text of the tokens that stay after the prompt, or of those that go in decode. */
export type KvChoice = { keep: number[] } | { evict: number[] };

/** What a policy for FAE's shuffle rate saw after a round; losses that are not finite are null. */
export type RateStatistics = {
  epoch: number;
  round: number;
  loss: number | null;
  previousLoss: number | null;
};

/** Percent of the batches that the next round takes. */
export type RateChoice = { rate: number; action: "hold" | "halve" | "double" };

/** Any decision, by the kind of its policy. */
export type DecisionEvent =
  | Decision<"kv.evict", KvHeadStatistics, KvChoice>
  | Decision<"recsys.hot", Figures, Figures>
  | Decision<"recsys.rate", RateStatistics, RateChoice>
  | Decision<"protein.threshold", Figures, Figures>;
