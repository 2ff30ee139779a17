/**
 * @file DLRM (Naumov et al. 2019, facebookresearch/dlrm): bottom MLP on dense inputs, pairwise dot products of its
 * output and the embedding rows, top MLP on both.
 *
 * The bottom MLP has ReLU on every layer, the last included; the top MLP on all but its last, whose sigmoid is
 * folded into the loss. Weights start at N(0, √(2/(m + n))), biases at N(0, √(1/m)), as in the reference.
 * Without dense columns the bottom MLP is left out, rows interact among themselves, and the top MLP reads the rows
 * beside their dot products, as it otherwise reads the bottom MLP's output: products alone cannot tell which value a
 * row stands for. Without tables only the MLPs remain.
 */
import { z } from "zod";
import type { Tensor } from "../../engine/graph/node.ts";
import { featureInteraction } from "../../engine/graph/ops/composite/featureInteraction.ts";
import { dotInteraction } from "../../engine/graph/ops/contraction.ts";
import { concat, reshape } from "../../engine/graph/ops/movement.ts";
import { normal, xavierNormal } from "../../nn/initializers.ts";
import { mlp, type MlpInitializers } from "../../nn/layers.ts";
import type { Parameters } from "../../nn/parameters.ts";
import { listOf, wholeNumber } from "../../base/optionSchemas.ts";
import { defineCtrModel, type CtrFeatures, type CtrModel } from "./ctrModel.ts";

/** Widths of a DLRM. */
export interface DlrmConfig {
  /** Dense columns (m). */
  dense: number;
  /** Categorical fields, each with an embedding table (T). */
  tables: number;
  /** Embedding dimension (D). */
  dim: number;
  /** Hidden widths of the bottom MLP; a last layer of width D follows. */
  bottom: readonly number[];
  /** Hidden widths of the top MLP; a last layer of width 1 follows. */
  top: readonly number[];
}

const widths = listOf(wholeNumber({ min: 1, max: 65_536 }));

/** DLRM in the registry. */
export const dlrmDefinition = defineCtrModel({
  name: "dlrm",
  summary: "Crosses a bottom MLP's output and the embeddings by dot products of all pairs, under a top MLP.",
  source: "Naumov et al. 2019, arXiv:1906.00091",
  options: z.object({
    dim: wholeNumber({ min: 1, max: 4096 }).default(16).describe("Floats of an embedding."),
    bottom: widths
      .default([512, 256, 64])
      .describe("Hidden widths of the MLP on dense inputs, between commas."),
    top: widths.default([512, 256]).describe("Hidden widths of the MLP on the crosses, between commas."),
  }),
  create: (options, { dense, categorical }) =>
    dlrm({ ...options, dense: dense.length, tables: categorical.length }),
});

const initializers: MlpInitializers = (_, outputs) => ({
  weight: xavierNormal,
  bias: normal(0, Math.sqrt(1 / outputs)),
});

/** A DLRM of these widths. */
export function dlrm(config: DlrmConfig): CtrModel {
  return {
    name: "dlrm",
    inputs: {
      dense: config.dense,
      fields: Array.from({ length: config.tables }, () => ({ dim: config.dim })),
    },
    apply(p: Parameters, { dense, embeddings }: CtrFeatures): Tensor {
      const batch = embeddings.shape[0]!;
      const x =
        config.dense > 0 ? mlp(p, "bottom", dense, [...config.bottom, config.dim], { initializers }) : null;
      const joined = interact(x, embeddings, config);
      const out = mlp(p, "top", joined, [...config.top, 1], { linearOutput: true, initializers });
      return reshape(out, [batch]);
    },
  };
}

/** R = [x, lower triangle of V·Vᵀ], V = [x, y₁ … y_T]; without x it is [y₁ … y_T, lower triangle of Y·Yᵀ]. */
function interact(x: Tensor | null, embeddings: Tensor, { tables, dim }: DlrmConfig): Tensor {
  if (tables === 0) return x!;
  if (x) return featureInteraction(x, embeddings);
  const rows = reshape(embeddings, [embeddings.shape[0]!, tables * dim]);
  return tables === 1 ? rows : concat([rows, dotInteraction(embeddings)], 1);
}
