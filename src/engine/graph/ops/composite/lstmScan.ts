/**
 * @file The loop of a long short-term memory over a whole sequence, and its gradient, each as one op, so that a target
 * may keep the recurrent weights at hand from step to step. Several directions run side by side in one op.
 */
import { floatDtypes, isHalf } from "../../../../base/dtype.ts";
import { ParetoError } from "../../../../base/errors.ts";
import { formatShape, sameShape } from "../../../../base/shape.ts";
import type { LstmScanAttrs } from "../../opAttrs.ts";
import { applyAll, commonDtype, requireDtype, type OpDefinition, type Tensor } from "../../node.ts";
import { matmul } from "../contraction.ts";
import { add, cast } from "../elementwise.ts";
import { reshape } from "../movement.ts";
import { scan } from "../scan.ts";
import { derivedComposite, throughDecomposition, zerosLike } from "./composite.ts";
import { lstmCell, lstmCellGradient } from "./lstmCell.ts";

/** A direction's operands and results: projected, recurrent → outputs, gates, cells, hidden. */
const [OPERANDS, RESULTS] = [2, 4];
/** A direction's operands of the gradient: recurrent, gates, cells, dL/doutputs. */
const GRADIENT_OPERANDS = 4;

const wide = (t: Tensor) => (isHalf(t.dtype) ? cast(t, "float32") : t);

function checkShapes(projected: Tensor, recurrent: Tensor): void {
  const hidden = recurrent.shape[1];
  const fits = projected.shape.length === 3 && projected.shape[2] === recurrent.shape[0];
  if (fits && sameShape(recurrent.shape, [4 * hidden!, hidden!])) return;
  throw new ParetoError({
    code: "SHAPE_LSTM_SCAN",
    where: "lstmScan",
    message: `lstmScan: needs gates [T, B, 4H] and weights [4H, H], got ${formatShape(projected.shape)} and ${formatShape(recurrent.shape)}`,
    fix: "Give the inputs' share of the gates i, f, g, o side by side, with time first.",
  });
}

/** Outputs, and what the gradient reads: each step's gates before their activations, and the state it began with. */
function decomposeDirection(projected: Tensor, recurrent: Tensor, reverse: boolean): readonly Tensor[] {
  const { dtype } = projected;
  const [z, w] = [wide(projected), wide(recurrent)];
  const start = zerosLike({ shape: [z.shape[1]!, w.shape[1]!], dtype: z.dtype });
  const { outputs } = scan(
    ([h, c], [slice_]) => {
      const gates = add(slice_!, matmul(h!, w, { transposeB: true }));
      const [out, cell] = lstmCell(gates, c!);
      return { carries: [out, cell], outputs: [out, gates, c!, h!] };
    },
    { init: [start, start], xs: [z], reverse },
  );
  return [cast(outputs[0]!, dtype), ...outputs.slice(1)];
}

const decomposeScan = (inputs: readonly Tensor[], { reverse }: LstmScanAttrs): readonly Tensor[] =>
  reverse.flatMap((isReverse, d) =>
    decomposeDirection(inputs[OPERANDS * d]!, inputs[OPERANDS * d + 1]!, isReverse),
  );

const lstmScanOp: OpDefinition<"lstmScan"> = {
  name: "lstmScan",
  infer: (inputs, { reverse }) =>
    reverse.flatMap((_, d) => {
      const [projected, recurrent] = inputs.slice(OPERANDS * d) as [Tensor, Tensor];
      requireDtype("lstmScan", projected, ...floatDtypes);
      checkShapes(projected, recurrent);
      const dtype = commonDtype("lstmScan", [projected, recurrent]);
      const kept = isHalf(dtype) ? "float32" : dtype;
      const [steps, batch] = projected.shape as [number, number];
      const shape = [steps, batch, recurrent.shape[1]!];
      return [
        { shape, dtype },
        { shape: projected.shape, dtype: kept },
        { shape, dtype: kept },
        { shape, dtype: kept },
      ];
    }),
  decompose: decomposeScan,
  gradient: (node, gradients) => {
    const { inputs, outputs, attrs } = node;
    // Into what is kept for the gradient, gradients flow only from derivatives of second order.
    if (gradients.some((g, i) => g && i % RESULTS > 0)) {
      return throughDecomposition<"lstmScan">(decomposeScan)(node, gradients);
    }
    const operands = attrs.reverse.flatMap((_, d) => {
      const [out, gates, cells] = outputs.slice(RESULTS * d) as [Tensor, Tensor, Tensor];
      return [inputs[OPERANDS * d + 1]!, gates, cells, gradients[RESULTS * d] ?? zerosLike(out)];
    });
    return applyAll(lstmScanGradientOp, operands, attrs).flatMap((dProjected, d) => [
      dProjected,
      weightGradient(dProjected, outputs[RESULTS * d + 3]!),
    ]);
  },
};

/** dL/drecurrent `[4H, H]`: one product over all steps. */
function weightGradient(dGates: Tensor, hidden: Tensor): Tensor {
  const rows = (t: Tensor) => reshape(t, [t.shape[0]! * t.shape[1]!, t.shape[2]!]);
  return matmul(rows(dGates), rows(cast(hidden, dGates.dtype)), { transposeA: true });
}

/** dL/dprojected of each direction from its recurrent weights, gates and cells of all steps, and dL/doutputs. */
const lstmScanGradientOp = derivedComposite<"lstmScanGradient">({
  name: "lstmScanGradient",
  infer: (inputs, { reverse }) =>
    reverse.map((_, d) => {
      const [recurrent, gates] = inputs.slice(GRADIENT_OPERANDS * d) as [Tensor, Tensor];
      return { shape: gates.shape, dtype: recurrent.dtype };
    }),
  decompose: (inputs, { reverse }) =>
    reverse.map((isReverse, d) => {
      const [recurrent, gates, cells, g] = inputs.slice(GRADIENT_OPERANDS * d) as Tensor[];
      const start = zerosLike({ shape: cells!.shape.slice(1), dtype: cells!.dtype });
      const { outputs } = scan(
        ([dh, dc], [gate, c, gNow]) => {
          const [dGates, dBefore] = lstmCellGradient(gate!, c!, add(gNow!, dh!), dc!);
          return { carries: [matmul(dGates, recurrent!), dBefore], outputs: [dGates] };
        },
        { init: [start, start], xs: [gates!, cells!, g!], reverse: !isReverse },
      );
      return outputs[0]!;
    }),
});

/** One direction of a layer. */
export interface LstmDirection {
  /** `[T, B, 4H]`: the inputs' share of the gates i, f, g, o side by side, biases included. */
  projected: Tensor;
  /** `[4H, H]`: the hidden state's share is its product with the transposed. */
  recurrent: Tensor;
  /** From the last step to the first; outputs still stand at their step's place. */
  reverse: boolean;
}

/**
 * Long short-term memories over sequences, from a state of zeros: gates_t = projected_t + h·recurrentᵀ,
 * c ← σ(f)·c + σ(i)·tanh(g), h ← σ(o)·tanh(c). Directions do not see each other, and may differ in all sizes.
 * @returns h of all steps `[T, B, H]`, for each direction
 * @throws ParetoError `SHAPE_LSTM_SCAN`, `DTYPE_MIXED`, `DTYPE_OPERAND`
 */
export function lstmScan(directions: readonly LstmDirection[]): Tensor[] {
  const operands = directions.flatMap(({ projected, recurrent }) => [projected, recurrent]);
  const reverse = directions.map((direction) => direction.reverse);
  const results = applyAll(lstmScanOp, operands, { reverse });
  return directions.map((_, d) => results[RESULTS * d]!);
}
