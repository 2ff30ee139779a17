/** @file The cross-entropy of logits against class numbers, and its gradient, each as one op. */
import { floatDtypes } from "../../../../base/dtype.ts";
import { ParetoError } from "../../../../base/errors.ts";
import { formatShape, sameShape } from "../../../../base/shape.ts";
import { apply, requireDtype, type OpDefinition, type Tensor } from "../../node.ts";
import { equal, exp, log, mul, neg, sub, where } from "../elementwise.ts";
import { constant, scalarLike } from "../leaf.ts";
import { reshape, sum } from "../movement.ts";
import { max, softmax } from "../reduce.ts";
import { derivedComposite, inFloat32 } from "./composite.ts";

/** bool `[…, classes]`: whether a class is the target. */
function isTarget(targets: Tensor, classes: number): Tensor {
  const all = Int32Array.from({ length: classes }, (_, i) => i);
  return equal(reshape(targets, [...targets.shape, 1]), constant(all, [classes], "int32"));
}

/** x − log Σ eˣ along the last axis. */
export function logSoftmax(x: Tensor): Tensor {
  const shifted = sub(x, max(x, -1, true));
  return sub(shifted, log(sum(exp(shifted), -1, true)));
}

const crossEntropyOp: OpDefinition<"crossEntropy"> = {
  name: "crossEntropy",
  infer: ([logits, targets]) => {
    requireDtype("crossEntropy", logits!, ...floatDtypes);
    requireDtype("crossEntropy", targets!, "int32");
    const rows = logits!.shape.slice(0, -1);
    if (!sameShape(rows, targets!.shape) || !(logits!.shape.at(-1)! > 0)) {
      throw new ParetoError({
        code: "SHAPE_CROSS_ENTROPY",
        where: "crossEntropy",
        message: `crossEntropy: logits must be [...targets.shape, classes] with one class or more, got ${formatShape(logits!.shape)} and ${formatShape(targets!.shape)}`,
        fix: "Give one class number for each row of logits.",
      });
    }
    return [{ shape: rows, dtype: logits!.dtype }];
  },
  decompose: inFloat32<"crossEntropy">(([logits, targets]) => {
    const hit = isTarget(targets!, logits!.shape.at(-1)!);
    return [neg(sum(where(hit, logSoftmax(logits!), scalarLike(logits!, 0)), -1))];
  }),
  gradient: ({ inputs: [logits, targets] }, [g]) => [
    apply(crossEntropyGradientOp, [logits!, targets!, g!], {}),
    null,
  ],
};

/** dL/dlogits from logits, targets and dL/dloss: (softmax(logits) − target's place)·g; 0 in rows without a target. */
const crossEntropyGradientOp = derivedComposite<"crossEntropyGradient">({
  name: "crossEntropyGradient",
  infer: ([logits]) => [logits!],
  decompose: ([logits, targets, g]) => {
    const classes = logits!.shape.at(-1)!;
    const [zero, one] = [scalarLike(logits!, 0), scalarLike(logits!, 1)];
    const hit = where(isTarget(targets!, classes), one, zero);
    const weight = mul(sum(hit, -1, true), reshape(g!, [...g!.shape, 1]));
    return [mul(sub(softmax(logits!), hit), weight)];
  },
});

/**
 * −log softmax(logits)[target], elementwise over the leading axes. A target that is no class (−1, say) gives loss 0
 * and no gradient.
 * @param logits `[…, classes]`
 * @param targets int32 `[…]`
 * @returns `[…]`
 * @throws ParetoError `SHAPE_CROSS_ENTROPY`, `DTYPE_OPERAND`
 */
export function crossEntropy(logits: Tensor, targets: Tensor): Tensor {
  return apply(crossEntropyOp, [logits, targets], {});
}
