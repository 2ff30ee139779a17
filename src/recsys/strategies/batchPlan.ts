/**
 * @file What a training strategy yields for one step: the inputs of the step in one part or more, each with the memory
 * that its embedding rows are read from. All parts are computed with the same weights; their gradients are added up, and
 * each row and the dense network is updated once.
 *
 * The loss of a step is Σ wᵢ·ℓᵢ / Σ wᵢ over the inputs of all parts, so how a batch is cut into parts changes no result
 * beyond the order in which float32 numbers are added.
 */
import type { ClickBatch } from "../data/batches/clickBatch.ts";
import type { EmbeddingStore } from "../embedding/embeddingStore.ts";

/** A part of a step's inputs. Parts without inputs are left out. */
export interface PlanPart {
  /** Parts may share a store; no row is in the stores of two parts unless those are the same. */
  store: EmbeddingStore;
  inputs: ClickBatch;
  /** `[inputs]`, ≥ 0: how much each input counts. Defaults to 1 for each. */
  weights?: Float32Array;
  /** Whether its inputs look up popular rows only, those of the strategy's `popular`. Defaults to false. */
  isPopular?: boolean;
}

/** One step. A plan without inputs is no step. */
export interface BatchPlan {
  /** With at most as many inputs together as the dense model's batch holds. */
  parts: readonly PlanPart[];
  /**
   * Batches of the epoch's order that are done with this plan: 1 by default; 0 or more where inputs of several batches are
   * packed together.
   */
  batches?: number;
}

/**
 * A plan of one part for each batch.
 * @param count batches at most; all of them by default
 * @param isPopular as in {@link PlanPart}
 */
export async function* wholeBatches(
  store: EmbeddingStore,
  batches: AsyncIterable<ClickBatch>,
  count = Number.POSITIVE_INFINITY,
  isPopular = false,
): AsyncGenerator<BatchPlan, void, undefined> {
  let given = 0;
  for await (const inputs of batches) {
    yield { parts: [{ store, inputs, isPopular }] };
    if (++given >= count) return;
  }
}
