/** @file Some inputs of a batch as a batch of their own; the copy lies on shared memory. */
import type { ClickBatch } from "./clickBatch.ts";
import { mapLookups } from "./mapLookups.ts";

/**
 * The inputs at `selection`, in that order.
 * @param replace new id of a table's id; the id itself by default
 */
export function selectInputs(
  batch: ClickBatch,
  selection: Uint32Array,
  replace?: (table: number, id: number) => number,
): ClickBatch {
  const size = selection.length;
  const columns = batch.dense.length / batch.size;
  const dense = new Float32Array(new SharedArrayBuffer(4 * size * columns));
  for (const [i, input] of selection.entries()) {
    dense.set(batch.dense.subarray(input * columns, (input + 1) * columns), i * columns);
  }
  const labels = new Float32Array(new SharedArrayBuffer(4 * size));
  const rows = new Float64Array(new SharedArrayBuffer(8 * size));
  for (const [i, input] of selection.entries()) {
    labels[i] = batch.labels[input]!;
    rows[i] = batch.rows[input]!;
  }
  return { size, dense, lookups: mapLookups(batch.lookups, selection, replace), labels, rows };
}
