/** @file The long short-term memory layer, in one direction or both. */
import type { Tensor } from "../engine/graph/node.ts";
import { lstmScan, type LstmDirection } from "../engine/graph/ops/composite/lstmScan.ts";
import { matmul } from "../engine/graph/ops/contraction.ts";
import { cast } from "../engine/graph/ops/elementwise.ts";
import { scalarLike } from "../engine/graph/ops/leaf.ts";
import { broadcastTo, concat, reshape } from "../engine/graph/ops/movement.ts";
import { orthogonal, xavierUniform, type Initializer } from "./initializers.ts";
import type { Parameters } from "./parameters.ts";
import { maskSteps } from "./sequences.ts";

/** How a sequence is run through. */
export interface LstmOptions {
  /**
   * bool `[T, B]`, false on padding, which stands behind the steps of a sequence and where x must be zero. Padded steps
   * give zeros, and the reverse direction reaches the last step of a sequence with a state of zeros. Defaults to no
   * padding.
   */
  mask?: Tensor;
  /** From the last step to the first; outputs still stand at their step's place. Defaults to false. */
  reverse?: boolean;
}

/** Gates stand in the order i, f, g, o, as in PyTorch; the forget gate's bias begins at 1. */
const gateBias: Initializer = (values, shape) => {
  const hidden = shape[0]! / 4;
  values.fill(0);
  values.fill(1, hidden, 2 * hidden);
};

/**
 * One direction of an LSTM with one bias a gate (PyTorch has two, whose sum this is): `NAME.input` `[4H, inputs]`,
 * `NAME.recurrent` `[4H, H]`, `NAME.bias` `[4H]`.
 * @param x `[T, B, inputs]`
 * @returns outputs `[T, B, H]`
 */
export function lstm(
  p: Parameters,
  name: string,
  x: Tensor,
  hidden: number,
  { mask, reverse = false }: LstmOptions = {},
): Tensor {
  const [outputs] = lstmScan([direction(p, name, withBiasInput(x, mask), hidden, reverse)]);
  return mask ? maskSteps(outputs!, mask) : outputs!;
}

/** Both directions of an LSTM, `NAME.forward` and `NAME.backward`, joined: `[T, B, 2H]`. @param mask as in {@link LstmOptions} */
export function bidirectionalLstm(
  p: Parameters,
  name: string,
  x: Tensor,
  hidden: number,
  mask?: Tensor,
): Tensor {
  const inputs = withBiasInput(x, mask);
  const outputs = lstmScan([
    direction(p, `${name}.forward`, inputs, hidden, false),
    direction(p, `${name}.backward`, inputs, hidden, true),
  ]);
  const joined = concat(outputs, 2);
  return mask ? maskSteps(joined, mask) : joined;
}

/**
 * A direction with the inputs' share of its gates: one large product instead of a small one a step. The bias is a row of
 * the weights whose input is 1 before the padding. On padding all gates are then 0, with which a cell of 0 stays 0, as
 * g = tanh 0: the reverse loop needs no mask to wait for the last step of a sequence.
 * @param inputs of {@link withBiasInput}
 */
function direction(
  p: Parameters,
  name: string,
  inputs: Tensor,
  hidden: number,
  reverse: boolean,
): LstmDirection {
  const [steps, batch, columns] = inputs.shape as [number, number, number];
  const wInput = p.get(`${name}.input`, [4 * hidden, columns - BIAS_WIDTH], xavierUniform);
  const recurrent = p.get(`${name}.recurrent`, [4 * hidden, hidden], orthogonal);
  const bias = p.get(`${name}.bias`, [4 * hidden], gateBias);
  const unused = zerosLike(inputs, [4 * hidden, BIAS_WIDTH - 1]);
  const weights = concat([wInput, reshape(bias, [4 * hidden, 1]), unused], 1);
  const flat = reshape(inputs, [steps * batch, columns]);
  const projected = reshape(matmul(flat, weights, { transposeB: true }), [steps, batch, 4 * hidden]);
  return { projected, recurrent, reverse };
}

/** Columns that the bias adds to the inputs; more than one, so that rows stay aligned for GPUs. */
const BIAS_WIDTH = 4;

const zerosLike = (like: Tensor, shape: number[]): Tensor => broadcastTo(scalarLike(like, 0), shape);

/** `[T, B, F]` → `[T, B, F + 4]`: a column of ones, of zeros on padding, and three of zeros. */
function withBiasInput(x: Tensor, mask: Tensor | undefined): Tensor {
  const [steps, batch] = x.shape as [number, number];
  const column = mask
    ? cast(reshape(mask, [steps, batch, 1]), x.dtype)
    : broadcastTo(scalarLike(x, 1), [steps, batch, 1]);
  return concat([x, column, zerosLike(x, [steps, batch, BIAS_WIDTH - 1])], 2);
}
