/** @file The gradient of softmax as one op, so that a target may compute it in one pass over each row. */
import { apply, commonDtype, type Tensor } from "../../node.ts";
import { mul, sub } from "../elementwise.ts";
import { sum } from "../movement.ts";
import { derivedComposite } from "./composite.ts";

const softmaxGradientOp = derivedComposite<"softmaxGradient">({
  name: "softmaxGradient",
  infer: ([y, g]) => [{ shape: y!.shape, dtype: commonDtype("softmaxGradient", [y!, g!]) }],
  decompose: ([y, g]) => [mul(y!, sub(g!, sum(mul(g!, y!), -1, true)))],
});

/** dL/dx of y = softmax(x) over the last axis: y·(g − Σ g·y). */
export function softmaxGradient(y: Tensor, g: Tensor): Tensor {
  return apply(softmaxGradientOp, [y, g], {});
}
