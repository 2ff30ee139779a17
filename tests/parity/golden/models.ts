/** @file The golden topics in the engine's ops, each a function from a case's inputs to its outputs. */
import type { Tensor } from "../../../src/engine/graph/node.ts";
import { conv1d, dotInteraction, matmul } from "../../../src/engine/graph/ops/contraction.ts";
import {
  add,
  div,
  equal,
  less,
  log,
  mul,
  neg,
  cast,
  sigmoid,
  sqrt,
  sub,
  tanh,
  where,
  exp,
} from "../../../src/engine/graph/ops/elementwise.ts";
import { gather } from "../../../src/engine/graph/ops/indexing.ts";
import { full, scalarLike } from "../../../src/engine/graph/ops/leaf.ts";
import { broadcastTo, reshape, slice, sum } from "../../../src/engine/graph/ops/movement.ts";
import { cumsum, max, softmax } from "../../../src/engine/graph/ops/reduce.ts";
import { scan } from "../../../src/engine/graph/ops/scan.ts";
import { gelu } from "../../../src/nn/functional.ts";
import type { GoldenCase } from "./fixtures.ts";

/** Computes the outputs of a case, by name. */
export type Model = (
  inputs: Record<string, Tensor>,
  options: GoldenCase["options"],
) => Record<string, Tensor>;

function mean(x: Tensor): Tensor {
  return div(sum(x, -1, true), x.shape.at(-1)!);
}

/** A bool mask [n, n], true where the column is at most the row. */
function causalMask(n: number, like: Tensor): Tensor {
  const count = cumsum(broadcastTo(scalarLike(like, 1), [n]), 0);
  return less(reshape(count, [1, n]), add(reshape(count, [n, 1]), 0.5));
}

const lstm: Model = ({ x, h, c, wInput, wHidden, bias }, { reverse }) => {
  const hidden = h!.shape[1]!;
  const { carries, outputs } = scan(
    ([hNow, cNow], [slice_]) => {
      const gates = add(
        add(matmul(slice_!, wInput!, { transposeB: true }), matmul(hNow!, wHidden!, { transposeB: true })),
        bias!,
      );
      const gate = (i: number) => slice(gates, { 1: [i * hidden, (i + 1) * hidden] });
      const kept = mul(sigmoid(gate(1)), cNow!);
      const cNext = add(kept, mul(sigmoid(gate(0)), tanh(gate(2))));
      const hNext = mul(sigmoid(gate(3)), tanh(cNext));
      return { carries: [hNext, cNext], outputs: [hNext] };
    },
    { init: [h!, c!], xs: [x!], reverse: reverse === true },
  );
  return { y: outputs[0]!, hLast: carries[0]!, cLast: carries[1]! };
};

const attention: Model = ({ q, k, v }, { causal }) => {
  const [steps, width] = q!.shape.slice(-2) as [number, number];
  const scores = div(matmul(q!, k!, { transposeB: true }), Math.sqrt(width));
  const masked = causal ? where(causalMask(steps, q!), scores, full([], -1e9, q!.dtype)) : scores;
  return { y: matmul(softmax(masked), v!) };
};

const crossEntropy: Model = ({ logits, labels }) => {
  const [rows, classes] = logits!.shape as [number, number];
  const shifted = sub(logits!, max(logits!, -1, true));
  const logSumExp = log(sum(exp(shifted), -1, true));
  const places = sub(cumsum(full([classes], 1, "int32"), 0), 1);
  const hit = cast(equal(reshape(labels!, [rows, 1]), places), logits!.dtype);
  return { loss: neg(div(sum(mul(hit, sub(shifted, logSumExp))), rows)) };
};

/** Models by topic. */
export const models: Record<string, Model> = {
  conv1d: ({ x, w }, options) => ({
    y: conv1d(x!, w!, {
      stride: options.stride as number,
      dilation: options.dilation as number,
      padding: options.padding as [number, number],
      groups: options.groups as number,
    }),
  }),
  lstm,
  layerNorm: ({ x, gain, bias }, { eps }) => {
    const centred = sub(x!, mean(x!));
    const deviation = sqrt(add(mean(mul(centred, centred)), eps as number));
    return { y: add(mul(div(centred, deviation), gain!), bias!) };
  },
  crossEntropy,
  attention,
  gelu: ({ x }) => ({ y: gelu(x!) }),
  geluTanh: ({ x }) => ({ y: gelu(x!, { approximate: "tanh" }) }),
  softmax: ({ x }) => ({ y: softmax(x!) }),
  cumsum: ({ x }, { axis }) => ({ y: cumsum(x!, axis as number) }),
  matmul: ({ a, b }) => ({ y: matmul(a!, b!) }),
  dotInteraction: ({ x }) => ({ y: dotInteraction(x!) }),
  embedding: ({ table, rows }) => ({ y: gather(table!, rows!) }),
};
