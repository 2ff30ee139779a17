/** @file The long short-term memory layer, as a scan over time, in either direction. */
import type { Tensor } from "../engine/graph/node.ts";
import { lstmCell } from "../engine/graph/ops/composite/lstmCell.ts";
import { matmul } from "../engine/graph/ops/contraction.ts";
import { add, mul, sub } from "../engine/graph/ops/elementwise.ts";
import { scalarLike } from "../engine/graph/ops/leaf.ts";
import { broadcastTo, concat, reshape, transpose } from "../engine/graph/ops/movement.ts";
import { scan } from "../engine/graph/ops/scan.ts";
import { orthogonal, xavierUniform, type Initializer } from "./initializers.ts";
import type { Parameters } from "./parameters.ts";

/** How a sequence is run through. */
export interface LstmOptions {
  /** float32 `[B, T]`, 1 on real steps and 0 on padding; padded steps keep the state and give zeros. */
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
 * One direction of an LSTM with one bias a gate: `NAME.input` `[4H, inputs]`, `NAME.recurrent` `[4H, H]`,
 * `NAME.bias` `[4H]`.
 * @param x `[B, T, inputs]`
 * @returns outputs `[B, T, H]`
 */
export function lstm(
  p: Parameters,
  name: string,
  x: Tensor,
  hidden: number,
  { mask, reverse = false }: LstmOptions = {},
): Tensor {
  const [batch, steps, inputs] = x.shape as [number, number, number];
  const wInput = p.get(`${name}.input`, [4 * hidden, inputs], xavierUniform);
  const wRecurrent = p.get(`${name}.recurrent`, [4 * hidden, hidden], orthogonal);
  const bias = p.get(`${name}.bias`, [4 * hidden], gateBias);
  // All inputs at once: one large product instead of a small one a step.
  const byTime = reshape(transpose(x, [1, 0, 2]), [steps * batch, inputs]);
  const projected = reshape(add(matmul(byTime, wInput, { transposeB: true }), bias), [
    steps,
    batch,
    4 * hidden,
  ]);
  const masks = mask ? [reshape(transpose(mask), [steps, batch, 1])] : [];
  const zero = broadcastTo(scalarLike(x, 0), [batch, hidden]);
  const { outputs } = scan(
    ([h, c], [z, m]) => {
      const gates = add(z!, matmul(h!, wRecurrent, { transposeB: true }));
      const [out, cell] = lstmCell(gates, c!);
      if (!m) return { carries: [out, cell], outputs: [out] };
      const kept = sub(scalarLike(m, 1), m);
      return {
        carries: [add(mul(out, m), mul(h!, kept)), add(mul(cell, m), mul(c!, kept))],
        outputs: [mul(out, m)],
      };
    },
    { init: [zero, zero], xs: [projected, ...masks], reverse },
  );
  return transpose(outputs[0]!, [1, 0, 2]);
}

/** Both directions of an LSTM, `NAME.forward` and `NAME.backward`, joined: `[B, T, 2H]`. */
export function bidirectionalLstm(
  p: Parameters,
  name: string,
  x: Tensor,
  hidden: number,
  mask?: Tensor,
): Tensor {
  const masked = mask ? { mask } : {};
  return concat(
    [
      lstm(p, `${name}.forward`, x, hidden, masked),
      lstm(p, `${name}.backward`, x, hidden, { ...masked, reverse: true }),
    ],
    2,
  );
}
