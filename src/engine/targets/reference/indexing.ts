/**
 * @file Kernels that read or add at indices. An index outside its table is a `ParetoError INDEX_RANGE` here;
 * fast targets do not check.
 */
import type { TypedArray } from "../../../base/dtype.ts";
import { ParetoError } from "../../../base/errors.ts";
import { sizeOf, stridesOf } from "../../../base/shape.ts";
import type { KernelTable } from "./kernel.ts";
import { offsets } from "./offsets.ts";

function checkRows(where: string, indices: TypedArray, rows: number): void {
  const bad = indices.find((row) => row < 0 || row >= rows);
  if (bad === undefined) return;
  throw new ParetoError({
    code: "INDEX_RANGE",
    where,
    message: `${where}: row out of range for a table of ${rows} rows, got ${bad}`,
    fix: `Use rows from 0 to ${rows - 1}.`,
  });
}

/** Kernels of the indexing ops. */
export const indexingKernels: KernelTable<"gather" | "scatterAdd" | "take"> = {
  gather: ({ node, inputs: [table, indices], outputs }) => {
    const { shape } = node.inputs[0]!;
    const width = sizeOf(shape.slice(1));
    checkRows("gather", indices!, shape[0]!);
    indices!.forEach((row, i) => {
      outputs[0]!.set(table!.subarray(row * width, (row + 1) * width), i * width);
    });
  },
  scatterAdd: ({ node, inputs: [updates, indices], outputs }) => {
    const { shape } = node.outputs[0]!;
    const width = sizeOf(shape.slice(1));
    checkRows("scatterAdd", indices!, shape[0]!);
    const totals = new Float64Array(sizeOf(shape));
    indices!.forEach((row, i) => {
      for (let d = 0; d < width; d++) totals[row * width + d]! += updates![i * width + d]!;
    });
    outputs[0]!.set(totals);
  },
  take: ({ node, inputs: [x], outputs }) => {
    const { axis, indices } = node.attrs;
    const { shape } = node.inputs[0]!;
    const from = stridesOf(shape);
    const to = stridesOf(node.outputs[0]!.shape);
    indices.forEach((place, i) => {
      const line = shape.with(axis, 1);
      const reads = offsets(line, from, place * from[axis]!);
      const writes = offsets(line, to, i * to[axis]!);
      reads.forEach((at, n) => {
        outputs[0]![writes[n]!] = x![at]!;
      });
    });
  },
};
