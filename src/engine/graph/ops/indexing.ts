/** @file Ops that read or add at indices: gather and scatterAdd along the first axis, take at fixed places. */
import { ParetoError } from "../../../base/errors.ts";
import { formatShape, normalizeAxis, sameShape } from "../../../base/shape.ts";
import { apply, requireDtype, type OpDefinition, type Tensor } from "../node.ts";
import { add } from "./elementwise.ts";
import { pad, slice } from "./movement.ts";

const gatherOp: OpDefinition<"gather"> = {
  name: "gather",
  infer: ([table, indices]) => {
    requireDtype("gather", indices!, "int32");
    if (table!.shape.length === 0) {
      throw new ParetoError({
        code: "SHAPE_RANK",
        where: "gather",
        message: "gather: the table needs an axis to index, got a scalar",
        fix: "Reshape it to [1].",
      });
    }
    return [{ shape: [...indices!.shape, ...table!.shape.slice(1)], dtype: table!.dtype }];
  },
  gradient: ({ inputs: [table, indices] }, [g]) => [scatterAdd(g!, indices!, table!.shape[0]!), null],
};

/**
 * Rows of a table at given places.
 * @param table `[N, …rest]`
 * @param indices int32 `[…places]`, each in [0, N); others are undefined behaviour on fast targets
 * @returns `[…places, …rest]`
 */
export function gather(table: Tensor, indices: Tensor): Tensor {
  return apply(gatherOp, [table, indices], {});
}

const scatterAddOp: OpDefinition<"scatterAdd"> = {
  name: "scatterAdd",
  infer: ([updates, indices], { rows }) => {
    requireDtype("scatterAdd", indices!, "int32");
    const places = indices!.shape;
    if (!sameShape(updates!.shape.slice(0, places.length), places)) {
      throw new ParetoError({
        code: "SHAPE_SCATTER",
        where: "scatterAdd",
        message: `scatterAdd: updates must begin with the shape of the indices, got ${formatShape(updates!.shape)} and ${formatShape(places)}`,
        fix: "Updates are [...indices.shape, ...rest].",
      });
    }
    return [{ shape: [rows, ...updates!.shape.slice(places.length)], dtype: updates!.dtype }];
  },
  gradient: ({ inputs: [, indices] }, [g]) => [gather(g!, indices!), null],
};

/** Adds each update into the row its index names, over zeros `[rows, …rest]`; duplicates add up. */
export function scatterAdd(updates: Tensor, indices: Tensor, rows: number): Tensor {
  return apply(scatterAddOp, [updates, indices], { rows });
}

const takeOp: OpDefinition<"take"> = {
  name: "take",
  infer: ([x], { axis, indices }) => [{ shape: x!.shape.with(axis, indices.length), dtype: x!.dtype }],
  gradient: ({ inputs: [x], attrs: { axis, indices } }, [g]) => [untake(g!, axis, indices, x!.shape[axis]!)],
};

/** The transpose of take: as many rounds of "take from a zero-padded gradient" as an index has duplicates. */
function untake(g: Tensor, axis: number, indices: readonly number[], length: number): Tensor {
  const rounds: number[][] = [];
  indices.forEach((place, i) => {
    const round = rounds.find((r) => r[place] === undefined);
    if (round) round[place] = i;
    else rounds.push(Object.assign(Array.from<number>({ length }), { [place]: i }));
  });
  const widths = g.shape.map((_, i) => (i === axis ? 1 : 0));
  const padded = pad(
    g,
    widths.map(() => 0),
    widths,
  );
  const parts = rounds.map((round) =>
    take(
      padded,
      axis,
      Array.from(round, (i) => i ?? indices.length),
    ),
  );
  if (parts.length === 0)
    return take(
      padded,
      axis,
      Array.from({ length }, () => 0),
    );
  return parts.reduce((a, b) => add(a, b));
}

/** Elements at fixed places along an axis, known when the graph is built. */
export function take(x: Tensor, axis: number, indices: readonly number[]): Tensor {
  const at = normalizeAxis("take", axis, x.shape.length);
  const bad = indices.find((i) => !Number.isInteger(i) || i < 0 || i >= x.shape[at]!);
  if (bad !== undefined) {
    throw new ParetoError({
      code: "SHAPE_INDEX",
      where: "take",
      message: `take: index out of range for axis ${at} of ${formatShape(x.shape)}, got ${bad}`,
      fix: `Use indices from 0 to ${x.shape[at]! - 1}.`,
    });
  }
  const consecutive = indices.length > 0 && indices.every((place, i) => place === indices[0]! + i);
  if (consecutive) return slice(x, { [at]: [indices[0]!, indices[0]! + indices.length] });
  return apply(takeOp, [x], { axis: at, indices });
}
