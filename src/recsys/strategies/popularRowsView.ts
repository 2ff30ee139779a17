/**
 * @file The popular rows of a strategy as a filter of inputs sees them: which they are, their newest weights, and which of
 * them a part of a plan looks up.
 */
import type { Lookups } from "../data/batches/clickBatch.ts";
import type { PlanPart } from "./batchPlan.ts";

/** Rows that a strategy keeps in fast memory, by slot. */
export interface PopularRowsView {
  /** Global row of each slot, `[K]`: row r of table t is r + the rows of all tables before t. */
  readonly rows: Uint32Array;
  /** Rises whenever the set changes; slots of one version mean nothing in another. */
  readonly version: number;
  /** The lookups of a part that `isPopular`, with slots for ids. The arrays are those of the part, or valid until the next call. */
  slotsOf(part: PlanPart): Lookups;
  /**
   * Copies out the newest weights of all slots.
   * @param into `[K, D]`
   * @throws ParetoError HOT_EMBEDDINGS_STALE outside of a segment with popular parts
   */
  readWeights(into: Float32Array): Promise<void>;
}
