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

/** A source whose batches end with the signal's reason once it is aborted. */
export function untilAborted(source: ClickSource, signal: AbortSignal | undefined): ClickSource {
  if (signal === undefined) return source;
  return {
    rows: source.rows,
    async *batches(options) {
      for await (const batch of source.batches(options)) {
        signal.throwIfAborted();
        yield batch;
      }
    },
  };
}
