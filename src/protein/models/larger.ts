/**
 * @file A rival of 4.58 million parameters, ten times ProFamNet, of the size that the abstract of Ali et al. 2024 says
 * it beat (4,578,911). That network is not named there, so this one is our own construction: four wide convolutions,
 * the largest answer of each filter, a wide dense layer.
 */
import { relu } from "../../engine/graph/ops/elementwise.ts";
import { transpose } from "../../engine/graph/ops/movement.ts";
import {
  embeddingConvolution,
  maskSteps,
  maxPool,
  lengthMask,
  sequenceConvolution,
  maskedMax,
} from "../../nn/sequences.ts";
import { ALPHABET_SIZE } from "../alphabet.ts";
import { head } from "./profamnet.ts";
import type { ProteinModel } from "./proteinModel.ts";

const EMBEDDING = 128;
const FILTERS = [256, 512, 512, 512] as const;
const KERNELS = [9, 5, 5, 5] as const;
/** Brings 73 families to 4,578,453 parameters. */
const DENSE = 1710;

/** The network for so many families. */
export function larger(classes: number): ProteinModel {
  return {
    name: "larger",
    classes,
    dropouts: 2,
    residuesPerStep: null,
    apply(p, { ids, lengths }, dropout) {
      const names = { embedding: "embedding", convolution: "convolution.0" };
      const widths = { rows: ALPHABET_SIZE, dim: EMBEDDING, outputs: FILTERS[0], kernel: KERNELS[0] };
      let x = relu(embeddingConvolution(p, names, transpose(ids), widths));
      x = maxPool(maskSteps(x, lengthMask(lengths, ids.shape[1]!)), 2);
      let stride = 2;
      for (const [i, filters] of FILTERS.slice(1).entries()) {
        x = relu(sequenceConvolution(p, `convolution.${i + 1}`, x, filters, KERNELS[i + 1]!));
        x = maskSteps(x, lengthMask(lengths, x.shape[0]!, stride));
        if (i > 0) continue;
        x = maxPool(x, 2);
        stride *= 2;
      }
      const pooled = maskedMax(x, lengthMask(lengths, x.shape[0]!, stride));
      return { logits: head(p, pooled, { dense: DENSE, classes }, dropout) };
    },
  };
}
