/** @file The pointwise part of a long short-term memory cell, and its gradient, each as one op. */
import { floatDtypes } from "../../../../base/dtype.ts";
import { ParetoError } from "../../../../base/errors.ts";
import { formatShape, sameShape } from "../../../../base/shape.ts";
import { applyAll, commonDtype, requireDtype, type OpDefinition, type Tensor } from "../../node.ts";
import { add, mul, sigmoid, sub, tanh } from "../elementwise.ts";
import { scalarLike } from "../leaf.ts";
import { concat, slice } from "../movement.ts";
import { derivedComposite, inFloat32, zerosLike } from "./composite.ts";

/** Activated gates i, f, g, o `[B, H]` each, and the next cell. */
function activate(gates: Tensor, c: Tensor): { i: Tensor; f: Tensor; g: Tensor; o: Tensor; cell: Tensor } {
  const hidden = c.shape[1]!;
  const part = (k: number) => slice(gates, { 1: [k * hidden, (k + 1) * hidden] });
  const [i, f, g, o] = [sigmoid(part(0)), sigmoid(part(1)), tanh(part(2)), sigmoid(part(3))];
  return { i, f, g, o, cell: add(mul(f, c), mul(i, g)) };
}

const lstmCellOp: OpDefinition<"lstmCell"> = {
  name: "lstmCell",
  infer: ([gates, c]) => {
    requireDtype("lstmCell", gates!, ...floatDtypes);
    const [batch, hidden] = c!.shape;
    if (c!.shape.length !== 2 || !sameShape(gates!.shape, [batch!, 4 * hidden!])) {
      throw new ParetoError({
        code: "SHAPE_LSTM_CELL",
        where: "lstmCell",
        message: `lstmCell: gates must be [B, 4H] for a cell [B, H], got ${formatShape(gates!.shape)} and ${formatShape(c!.shape)}`,
        fix: "Give the gates i, f, g, o side by side.",
      });
    }
    const spec = { shape: c!.shape, dtype: commonDtype("lstmCell", [gates!, c!]) };
    return [spec, spec];
  },
  decompose: inFloat32<"lstmCell">(([gates, c]) => {
    const { o, cell } = activate(gates!, c!);
    return [mul(o, tanh(cell)), cell];
  }),
  gradient: ({ inputs: [gates, c] }, [dh, dc]) =>
    lstmCellGradient(gates!, c!, dh ?? zerosLike(c!), dc ?? zerosLike(c!)),
};

/** dL/dgates and dL/dc from gates, c, dL/dh′ and dL/dc′. */
const lstmCellGradientOp = derivedComposite<"lstmCellGradient">({
  name: "lstmCellGradient",
  infer: ([gates, c]) => [gates!, c!],
  decompose: ([gates, c, dh, dc]) => {
    const { i, f, g, o, cell } = activate(gates!, c!);
    const one = scalarLike(c!, 1);
    const out = tanh(cell);
    const dCell = add(dc!, mul(mul(dh!, o), sub(one, mul(out, out))));
    const ofSigmoid = (s: Tensor, d: Tensor) => mul(d, mul(s, sub(one, s)));
    const dGates = [
      ofSigmoid(i, mul(dCell, g)),
      ofSigmoid(f, mul(dCell, c!)),
      mul(mul(dCell, i), sub(one, mul(g, g))),
      ofSigmoid(o, mul(dh!, out)),
    ];
    return [concat(dGates, 1), mul(dCell, f)];
  },
});

/**
 * One step of a long short-term memory, after its matrix products: c′ = σ(f)·c + σ(i)·tanh(g), h′ = σ(o)·tanh(c′).
 * @param gates `[B, 4H]`: i, f, g, o side by side, before their activations
 * @param c `[B, H]`
 * @returns h′ and c′, `[B, H]` each
 * @throws ParetoError `SHAPE_LSTM_CELL`, `DTYPE_MIXED`
 */
export function lstmCell(gates: Tensor, c: Tensor): [h: Tensor, c: Tensor] {
  const [h, cell] = applyAll(lstmCellOp, [gates, c], {});
  return [h!, cell!];
}

/**
 * The gradient of {@link lstmCell}.
 * @param gates `[B, 4H]` and
 * @param c `[B, H]` as they were given to it
 * @param dh dL/dh′ `[B, H]`
 * @param dc dL/dc′ `[B, H]`
 * @returns dL/dgates and dL/dc
 */
export function lstmCellGradient(
  gates: Tensor,
  c: Tensor,
  dh: Tensor,
  dc: Tensor,
): [dGates: Tensor, dc: Tensor] {
  const [dGates, dCell] = applyAll(lstmCellGradientOp, [gates, c, dh, dc], {});
  return [dGates!, dCell!];
}
