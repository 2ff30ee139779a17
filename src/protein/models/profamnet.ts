/**
 * @file ProFamNet: convolutions for motifs, a bidirectional LSTM for what stands far apart, additive attention for
 * what matters (the fusion of Ali et al. 2024, arXiv 2410.17293, whose abstract states 450,953 parameters and no
 * layer). The layers and widths here are our choice of one such network with that count at 73 families:
 * 441,536 + 129·C.
 */
import type { Tensor } from "../../engine/graph/node.ts";
import { relu } from "../../engine/graph/ops/elementwise.ts";
import { transpose } from "../../engine/graph/ops/movement.ts";
import { linear } from "../../nn/layers.ts";
import type { Parameters } from "../../nn/parameters.ts";
import { bidirectionalLstm } from "../../nn/recurrent.ts";
import {
  additiveAttention,
  embeddingConvolution,
  maskSteps,
  maxPool,
  lengthMask,
  sequenceConvolution,
} from "../../nn/sequences.ts";
import type { Dropout } from "../../nn/training/lossFunction.ts";
import { ALPHABET_SIZE } from "../alphabet.ts";
import type { ProteinBatch, ProteinModel } from "./proteinModel.ts";

/** Widths of the layers, for a network of another size. */
export interface ProfamnetWidths {
  embedding: number;
  /** Filters of the two convolutions, and the lengths of their kernels. */
  filters: readonly [number, number];
  kernels: readonly [number, number];
  /** Hidden units of each direction of the LSTM. */
  hidden: number;
  attention: number;
  dense: number;
}

const WIDTHS: ProfamnetWidths = {
  embedding: 64,
  filters: [64, 128],
  kernels: [9, 5],
  hidden: 128,
  attention: 256,
  dense: 128,
};
const DROPOUT = 0.3;

/** The first two blocks: embedding, then twice convolution, ReLU, mask and a pool of 2; `[⌈T / 4⌉, B, filters]`. */
export function motifs(
  p: Parameters,
  { ids, lengths }: ProteinBatch,
  { embedding, filters, kernels }: ProfamnetWidths = WIDTHS,
): { steps: Tensor; mask: Tensor } {
  const length = ids.shape[1]!;
  const names = { embedding: "embedding", convolution: "convolution.0" };
  const widths = { rows: ALPHABET_SIZE, dim: embedding, outputs: filters[0], kernel: kernels[0] };
  const first = relu(embeddingConvolution(p, names, transpose(ids), widths));
  const half = maxPool(maskSteps(first, lengthMask(lengths, length)), 2);
  const second = relu(sequenceConvolution(p, "convolution.1", half, filters[1], kernels[1]));
  const quarter = maxPool(maskSteps(second, lengthMask(lengths, half.shape[0]!, 2)), 2);
  return { steps: quarter, mask: lengthMask(lengths, quarter.shape[0]!, 4) };
}

/** The last layers: dropout, a dense layer with ReLU, dropout, the logits. */
export function head(
  p: Parameters,
  x: Tensor,
  { dense, classes }: { dense: number; classes: number },
  dropout: Dropout = (dropped) => dropped,
): Tensor {
  const hidden = relu(linear(p, "dense", dropout(x, DROPOUT, 0), dense));
  return linear(p, "output", dropout(hidden, DROPOUT, 1), classes);
}

/** ProFamNet for so many families. */
export function profamnet(classes: number, widths: ProfamnetWidths = WIDTHS): ProteinModel {
  return {
    name: "profamnet",
    classes,
    dropouts: 2,
    residuesPerStep: 4,
    apply(p, batch, dropout) {
      const { steps, mask } = motifs(p, batch, widths);
      const hidden = bidirectionalLstm(p, "lstm", steps, widths.hidden, mask);
      const { context, weights } = additiveAttention(p, "attention", hidden, widths.attention, mask);
      return { logits: head(p, context, { dense: widths.dense, classes }, dropout), attention: weights };
    },
  };
}
