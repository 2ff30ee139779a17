/** @file RMS normalisation over the last axis (Zhang & Sennrich 2019) as one op; its gradient is that of its primitives. */
import { floatDtypes } from "../../../../base/dtype.ts";
import { ParetoError } from "../../../../base/errors.ts";
import { formatShape, sameShape } from "../../../../base/shape.ts";
import { apply, commonDtype, requireDtype, type Tensor } from "../../node.ts";
import { add, div, mul, sqrt } from "../elementwise.ts";
import { sum } from "../movement.ts";
import { derivedComposite } from "./composite.ts";

const rmsNormOp = derivedComposite<"rmsNorm">({
  name: "rmsNorm",
  infer: ([x, weight]) => {
    requireDtype("rmsNorm", x!, ...floatDtypes);
    const width = x!.shape.at(-1);
    if (width === undefined || !sameShape(weight!.shape, [width])) {
      throw new ParetoError({
        code: "SHAPE_RMS_NORM",
        where: "rmsNorm",
        message: `rmsNorm: the weight must be as long as the last axis of ${formatShape(x!.shape)}, got ${formatShape(weight!.shape)}`,
        fix: "Make it [D] for an input [..., D].",
      });
    }
    return [{ shape: x!.shape, dtype: commonDtype("rmsNorm", [x!, weight!]) }];
  },
  decompose: ([x, weight], { epsilon }) => {
    const meanSquare = div(sum(mul(x!, x!), -1, true), x!.shape.at(-1)!);
    return [mul(div(x!, sqrt(add(meanSquare, epsilon))), weight!)];
  },
});

/**
 * Divides the last axis by its root mean square and scales it.
 * @param x `[…, D]`
 * @param weight `[D]`
 * @param epsilon added to the mean of the squares
 * @throws ParetoError `SHAPE_RMS_NORM`, `DTYPE_MIXED`
 */
export function rmsNorm(x: Tensor, weight: Tensor, epsilon = 1e-6): Tensor {
  return apply(rmsNormOp, [x, weight], { epsilon });
}
