/** @file The activation Mish (Misra 2019) as a function of ops that there are: it has a gradient and runs on every target. */
import { mul, softplus, tanh, type Tensor } from "../../src/engine/index.ts";

/** x·tanh(ln(1 + eˣ)), elementwise. */
export function mish(x: Tensor): Tensor {
  return mul(x, tanh(softplus(x)));
}
