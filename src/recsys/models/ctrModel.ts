/**
 * @file What a CTR model is to the rest: from dense inputs and pooled embedding rows to logits. The rows
 * themselves live in embedding stores, outside the graph; a model sees them as an input and a strategy decides where
 * they come from.
 */
import type { Tensor } from "../../engine/graph/node.ts";
import type { Parameters } from "../../nn/parameters.ts";

/** Widths that the data fixes. */
export interface CtrInputs {
  /** Dense columns (m). */
  dense: number;
  /** Embedding tables (T). */
  tables: number;
  /** Embedding dimension (D). */
  dim: number;
}

/** A CTR model. */
export interface CtrModel {
  readonly name: string;
  readonly inputs: CtrInputs;
  /**
   * The logits of a batch.
   * @param dense `[B, m]`
   * @param rows `[B, T, D]`
   * @returns `[B]`
   */
  logits(parameters: Parameters, dense: Tensor, rows: Tensor): Tensor;
}
