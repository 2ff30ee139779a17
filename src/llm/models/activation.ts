/** @file Activations of MLPs, as transformers' `ACT2FN` has them. */
import type { Tensor } from "../../engine/graph/node.ts";
import { maximum, minimum, mul, relu, sigmoid, tanh } from "../../engine/graph/ops/elementwise.ts";
import { gelu } from "../../nn/functional.ts";

/** Formulas by name. */
const formulas = {
  /** x·σ(x), also called swish. */
  silu: (x: Tensor) => mul(x, sigmoid(x)),
  gelu: (x: Tensor) => gelu(x),
  geluTanh: (x: Tensor) => gelu(x, { approximate: "tanh" }),
  /** GELU cut to ±10. */
  gelu10: (x: Tensor) => maximum(minimum(gelu(x), 10), -10),
  /** x·σ(1.702·x) */
  quickGelu: (x: Tensor) => mul(x, sigmoid(mul(x, 1.702))),
  relu: (x: Tensor) => relu(x),
  /** max(x, 0)² */
  relu2: (x: Tensor) => mul(relu(x), relu(x)),
  relu6: (x: Tensor) => minimum(relu(x), 6),
  sigmoid: (x: Tensor) => sigmoid(x),
  tanh: (x: Tensor) => tanh(x),
  linear: (x: Tensor) => x,
} as const;

/** A formula's name. */
export type Activation = keyof typeof formulas;

/** The names that `hidden_act` and `activation_function` have for them. */
const names: Readonly<Record<string, Activation>> = {
  silu: "silu",
  swish: "silu",
  gelu: "gelu",
  gelu_python: "gelu",
  gelu_new: "geluTanh",
  gelu_fast: "geluTanh",
  gelu_accurate: "geluTanh",
  gelu_pytorch_tanh: "geluTanh",
  gelu_python_tanh: "geluTanh",
  gelu_10: "gelu10",
  quick_gelu: "quickGelu",
  relu: "relu",
  relu2: "relu2",
  relu6: "relu6",
  sigmoid: "sigmoid",
  tanh: "tanh",
  linear: "linear",
};

/** The names that are known. */
export const ACTIVATION_NAMES: readonly string[] = Object.keys(names);

/** The formula of a name; null for one that is not known. */
export function activationOf(name: string): Activation | null {
  return Object.hasOwn(names, name) ? names[name]! : null;
}

/** Applies an activation to every element. */
export function activate(activation: Activation, x: Tensor): Tensor {
  return formulas[activation](x);
}
