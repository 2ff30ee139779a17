/**
 * @file What calibration reads: a part of a click log that can be streamed from its start more than once.
 * An encoded data set of `src/recsys/data` is one.
 */
import type { ClickBatch } from "../../data/batches/clickBatch.ts";

/** A streamable part of a data set. */
export interface ClickSource {
  /** Inputs (N). */
  readonly rows: number;
  /** Mini-batches in stored order; the arrays of one may be overwritten `recycle` batches later. */
  batches(options: { batchSize: number; recycle?: number }): AsyncIterable<ClickBatch>;
}
