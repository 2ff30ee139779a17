/** @file DLRM's interaction of a dense vector and embedding rows, and its gradient, each as one op. */
import { floatDtypes } from "../../../../base/dtype.ts";
import { ParetoError } from "../../../../base/errors.ts";
import { formatShape, sameShape } from "../../../../base/shape.ts";
import { apply, applyAll, commonDtype, requireDtype, type OpDefinition, type Tensor } from "../../node.ts";
import { dotInteraction, dotInteractionGradient } from "../contraction.ts";
import { add } from "../elementwise.ts";
import { concat, reshape, slice } from "../movement.ts";
import { derivedComposite } from "./composite.ts";

/** V = [x, rows] `[B, T + 1, D]`. */
function joinFeatures(x: Tensor, rows: Tensor): Tensor {
  const [batch, dim] = x.shape as [number, number];
  return concat([reshape(x, [batch, 1, dim]), rows], 1);
}

const featureInteractionOp: OpDefinition<"featureInteraction"> = {
  name: "featureInteraction",
  infer: ([x, rows]) => {
    requireDtype("featureInteraction", x!, ...floatDtypes);
    const [batch, tables, dim] = rows!.shape as [number, number, number];
    if (rows!.shape.length !== 3 || !sameShape(x!.shape, [batch, dim])) {
      throw new ParetoError({
        code: "SHAPE_FEATURE_INTERACTION",
        where: "featureInteraction",
        message: `featureInteraction: expected a vector [B, D] and rows [B, T, D], got ${formatShape(x!.shape)} and ${formatShape(rows!.shape)}`,
        fix: "Give one vector a sample, as long as each of its rows.",
      });
    }
    const dtype = commonDtype("featureInteraction", [x!, rows!]);
    return [{ shape: [batch, dim + (tables * (tables + 1)) / 2], dtype }];
  },
  decompose: ([x, rows]) => [concat([x!, dotInteraction(joinFeatures(x!, rows!))], 1)],
  gradient: ({ inputs: [x, rows] }, [g]) => applyAll(featureInteractionGradientOp, [x!, rows!, g!], {}),
};

/** dL/dx and dL/drows from x, rows and dL/dR. */
const featureInteractionGradientOp = derivedComposite<"featureInteractionGradient">({
  name: "featureInteractionGradient",
  infer: ([x, rows]) => [x!, rows!],
  decompose: ([x, rows, g]) => {
    const [features, dim] = [rows!.shape[1]! + 1, x!.shape[1]!];
    const pairs = slice(g!, { 1: [dim, g!.shape[1]!] });
    const gradients = dotInteractionGradient(joinFeatures(x!, rows!), pairs);
    const ofX = reshape(slice(gradients, { 1: [0, 1] }), x!.shape);
    return [add(slice(g!, { 1: [0, dim] }), ofX), slice(gradients, { 1: [1, features] })];
  },
});

/**
 * R = [x, lower triangle of V·Vᵀ], V = [x, rows]: what the top network of a DLRM reads (Naumov et al. 2019).
 * @param x `[B, D]`
 * @param rows `[B, T, D]`
 * @returns `[B, D + F(F − 1)/2]`, F = T + 1; pairs in the order of `dotInteraction`
 * @throws ParetoError `SHAPE_FEATURE_INTERACTION`, `DTYPE_MIXED`
 */
export function featureInteraction(x: Tensor, rows: Tensor): Tensor {
  return apply(featureInteractionOp, [x, rows], {});
}
