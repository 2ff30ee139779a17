/** @file The golden topics in the engine's ops, each a function from a case's inputs to its outputs. */
import type { Tensor } from "../../../../src/engine/graph/node.ts";
import { attention as attentionOverHeads } from "../../../../src/engine/graph/ops/composite/attention.ts";
import { crossEntropy } from "../../../../src/engine/graph/ops/composite/crossEntropy.ts";
import { layerNorm } from "../../../../src/engine/graph/ops/composite/layerNorm.ts";
import { lstmCell } from "../../../../src/engine/graph/ops/composite/lstmCell.ts";
import { conv1d, dotInteraction, matmul } from "../../../../src/engine/graph/ops/contraction.ts";
import { add, div, less, mul, where } from "../../../../src/engine/graph/ops/elementwise.ts";
import { gather } from "../../../../src/engine/graph/ops/indexing.ts";
import { constant, full, scalarLike } from "../../../../src/engine/graph/ops/leaf.ts";
import { broadcastTo, reshape, sum } from "../../../../src/engine/graph/ops/movement.ts";
import { cumsum, softmax } from "../../../../src/engine/graph/ops/reduce.ts";
import { scan } from "../../../../src/engine/graph/ops/scan.ts";
import { gelu } from "../../../../src/nn/functional.ts";
import type { GoldenCase } from "./fixtures.ts";

/** Computes the outputs of a case, by name. */
export type Model = (
  inputs: Record<string, Tensor>,
  options: GoldenCase["options"],
) => Record<string, Tensor>;

/** A bool mask [n, n], true where the column is at most the row. */
function causalMask(n: number, like: Tensor): Tensor {
  const count = cumsum(broadcastTo(scalarLike(like, 1), [n]), 0);
  return less(reshape(count, [1, n]), add(reshape(count, [n, 1]), 0.5));
}

const lstm: Model = ({ x, h, c, wInput, wHidden, bias }, { reverse }) => {
  const { carries, outputs } = scan(
    ([hNow, cNow], [slice_]) => {
      const gates = add(
        add(matmul(slice_!, wInput!, { transposeB: true }), matmul(hNow!, wHidden!, { transposeB: true })),
        bias!,
      );
      const [hNext, cNext] = lstmCell(gates, cNow!);
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

const headAttention: Model = ({ q, k, v }, { window, alibiSlopes, lengths }) => ({
  y: attentionOverHeads(q!, k!, v!, {
    causal: true,
    ...(window !== undefined && { window: window as number }),
    ...(alibiSlopes !== undefined && { alibiSlopes: alibiSlopes as number[] }),
    ...(lengths !== undefined && {
      lengths: constant(Int32Array.from(lengths as number[]), [q!.shape[0]!], "int32"),
    }),
  }),
});

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
  layerNorm: ({ x, gain, bias }, { eps }) => ({ y: layerNorm(x!, gain!, bias!, eps as number) }),
  crossEntropy: ({ logits, labels }) => ({
    loss: div(sum(crossEntropy(logits!, labels!)), labels!.shape[0]!),
  }),
  attention,
  headAttention,
  gelu: ({ x }) => ({ y: gelu(x!) }),
  geluTanh: ({ x }) => ({ y: gelu(x!, { approximate: "tanh" }) }),
  softmax: ({ x }) => ({ y: softmax(x!) }),
  cumsum: ({ x }, { axis }) => ({ y: cumsum(x!, axis as number) }),
  matmul: ({ a, b }) => ({ y: matmul(a!, b!) }),
  dotInteraction: ({ x }) => ({ y: dotInteraction(x!) }),
  embedding: ({ table, rows }) => ({ y: gather(table!, rows!) }),
};
