/** @file The long short-term memory layer, as a scan over time, in either direction. */
import type { Tensor } from "../engine/graph/node.ts";
import { lstmCell } from "../engine/graph/ops/composite/lstmCell.ts";
import { matmul } from "../engine/graph/ops/contraction.ts";
import { add, cast } from "../engine/graph/ops/elementwise.ts";
import { scalarLike } from "../engine/graph/ops/leaf.ts";
import { broadcastTo, concat, reshape } from "../engine/graph/ops/movement.ts";
import { scan } from "../engine/graph/ops/scan.ts";
import { orthogonal, xavierUniform, type Initializer } from "./initializers.ts";
import type { Parameters } from "./parameters.ts";
import { maskSteps } from "./sequences.ts";

/** How a sequence is run through. */
export interface LstmOptions {
  /**
   * bool `[T, B]`, true on the real steps, which stand before the padding; x must be zero on padding. Padded steps give
   * zeros, and the reverse direction reaches the last real step with a state of zeros.
   */
  real?: Tensor;
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
  { real, reverse = false }: LstmOptions = {},
): Tensor {
  const [steps, batch, inputs] = x.shape as [number, number, number];
  const wInput = p.get(`${name}.input`, [4 * hidden, inputs], xavierUniform);
  const wRecurrent = p.get(`${name}.recurrent`, [4 * hidden, hidden], orthogonal);
  const bias = p.get(`${name}.bias`, [4 * hidden], gateBias);
  // All inputs at once: one large product instead of a small one a step. The bias is a row of the weights whose input
  // is 1 on real steps. On padding all gates are then 0, with which a cell of 0 stays 0, as g = tanh 0: the reverse
  // loop needs no mask to wait for the last real step.
  const flat = reshape(withBiasInput(x, real), [steps * batch, inputs + BIAS_WIDTH]);
  const weights = concat(
    [wInput, reshape(bias, [4 * hidden, 1]), zerosLike(x, [4 * hidden, BIAS_WIDTH - 1])],
    1,
  );
  const gates = reshape(matmul(flat, weights, { transposeB: true }), [steps, batch, 4 * hidden]);
  const zero = zerosLike(x, [batch, hidden]);
  const { outputs } = scan(
    ([h, c], [z]) => {
      const [out, cell] = lstmCell(add(z!, matmul(h!, wRecurrent, { transposeB: true })), c!);
      return { carries: [out, cell], outputs: [out] };
    },
    { init: [zero, zero], xs: [gates], reverse },
  );
  return real && !reverse ? maskSteps(outputs[0]!, real) : outputs[0]!;
}

/** Columns that the bias adds to the inputs; more than one, so that rows stay aligned for GPUs. */
const BIAS_WIDTH = 4;

const zerosLike = (like: Tensor, shape: number[]): Tensor => broadcastTo(scalarLike(like, 0), shape);

/** `[T, B, F]` → `[T, B, F + 4]`: a column of ones, of zeros on padding, and three of zeros. */
function withBiasInput(x: Tensor, real: Tensor | undefined): Tensor {
  const [steps, batch] = x.shape as [number, number];
  const column = real
    ? cast(reshape(real, [steps, batch, 1]), x.dtype)
    : broadcastTo(scalarLike(x, 1), [steps, batch, 1]);
  return concat([x, column, zerosLike(x, [steps, batch, BIAS_WIDTH - 1])], 2);
}

/** Both directions of an LSTM, `NAME.forward` and `NAME.backward`, joined: `[T, B, 2H]`. @param real as in {@link LstmOptions} */
export function bidirectionalLstm(
  p: Parameters,
  name: string,
  x: Tensor,
  hidden: number,
  real?: Tensor,
): Tensor {
  const options = real ? { real } : {};
  return concat(
    [
      lstm(p, `${name}.forward`, x, hidden, options),
      lstm(p, `${name}.backward`, x, hidden, { ...options, reverse: true }),
    ],
    2,
  );
}
