/** @file Layer normalisation over the last axis, and its gradient, each as one op. */
import { floatDtypes } from "../../../../base/dtype.ts";
import { ParetoError } from "../../../../base/errors.ts";
import { formatShape, sameShape } from "../../../../base/shape.ts";
import { apply, applyAll, commonDtype, requireDtype, type OpDefinition, type Tensor } from "../../node.ts";
import { add, div, mul, sqrt, sub } from "../elementwise.ts";
import { sum } from "../movement.ts";
import { derivedComposite, inFloat32 } from "./composite.ts";

function mean(x: Tensor): Tensor {
  return div(sum(x, -1, true), x.shape.at(-1)!);
}

/** (x − mean) / deviation over the last axis, and the deviation. */
function normalise(x: Tensor, epsilon: number): [normal: Tensor, deviation: Tensor] {
  const centred = sub(x, mean(x));
  const deviation = sqrt(add(mean(mul(centred, centred)), epsilon));
  return [div(centred, deviation), deviation];
}

function requireWidth(x: Tensor, ...parameters: Tensor[]): void {
  const width = x.shape.at(-1);
  const misfit = parameters.find((t) => width === undefined || !sameShape(t.shape, [width]));
  if (!misfit) return;
  throw new ParetoError({
    code: "SHAPE_LAYER_NORM",
    where: "layerNorm",
    message: `layerNorm: weight and bias must be as long as the last axis of ${formatShape(x.shape)}, got ${formatShape(misfit.shape)}`,
    fix: "Make both [D] for an input [..., D].",
  });
}

const layerNormOp: OpDefinition<"layerNorm"> = {
  name: "layerNorm",
  infer: ([x, weight, bias]) => {
    requireDtype("layerNorm", x!, ...floatDtypes);
    requireWidth(x!, weight!, bias!);
    return [{ shape: x!.shape, dtype: commonDtype("layerNorm", [x!, weight!, bias!]) }];
  },
  decompose: inFloat32<"layerNorm">(([x, weight, bias], { epsilon }) => [
    add(mul(normalise(x!, epsilon)[0], weight!), bias!),
  ]),
  gradient: ({ inputs: [x, weight], attrs }, [g]) => applyAll(layerNormGradientOp, [x!, weight!, g!], attrs),
};

/** dL/dx, dL/dweight, dL/dbias from x, weight and dL/dy. */
const layerNormGradientOp = derivedComposite<"layerNormGradient">({
  name: "layerNormGradient",
  infer: ([x, weight]) => [x!, weight!, weight!],
  decompose: ([x, weight, g], { epsilon }) => {
    const [normal, deviation] = normalise(x!, epsilon);
    const scaled = mul(g!, weight!);
    const along = mul(normal, mean(mul(scaled, normal)));
    const rows = Array.from({ length: x!.shape.length - 1 }, (_, axis) => axis);
    return [div(sub(sub(scaled, mean(scaled)), along), deviation), sum(mul(g!, normal), rows), sum(g!, rows)];
  },
});

/**
 * Normalises the last axis to mean 0 and deviation 1, then scales and shifts.
 * @param x `[…, D]`
 * @param weight `[D]`
 * @param bias `[D]`
 * @param epsilon added to the variance
 * @throws ParetoError `SHAPE_LAYER_NORM`, `DTYPE_MIXED`
 */
export function layerNorm(x: Tensor, weight: Tensor, bias: Tensor, epsilon = 1e-5): Tensor {
  return apply(layerNormOp, [x, weight, bias], { epsilon });
}
