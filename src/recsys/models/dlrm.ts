/**
 * @file DLRM (Naumov et al. 2019, facebookresearch/dlrm): bottom MLP on dense inputs, pairwise dot products of its
 * output and the embedding rows, top MLP on both.
 *
 * The bottom MLP has ReLU on every layer, the last included; the top MLP on all but its last, whose sigmoid is
 * folded into the loss. Weights start at N(0, √(2/(m + n))), biases at N(0, √(1/m)), as in the reference.
 * Without dense columns the bottom MLP is left out and rows interact among themselves; without tables only the
 * MLPs remain.
 */
import type { Tensor } from "../../engine/graph/node.ts";
import { featureInteraction } from "../../engine/graph/ops/composite/featureInteraction.ts";
import { dotInteraction } from "../../engine/graph/ops/contraction.ts";
import { reshape } from "../../engine/graph/ops/movement.ts";
import { normal, xavierNormal } from "../../nn/initializers.ts";
import { mlp, type MlpInitializers } from "../../nn/layers.ts";
import type { Parameters } from "../../nn/parameters.ts";
import type { CtrInputs, CtrModel } from "./ctrModel.ts";

/** Widths of a DLRM. */
export interface DlrmConfig extends CtrInputs {
  /** Hidden widths of the bottom MLP; a last layer of width D follows. */
  bottom: readonly number[];
  /** Hidden widths of the top MLP; a last layer of width 1 follows. */
  top: readonly number[];
}

const initializers: MlpInitializers = (_, outputs) => ({
  weight: xavierNormal,
  bias: normal(0, Math.sqrt(1 / outputs)),
});

/** A DLRM of these widths. */
export function dlrm(config: DlrmConfig): CtrModel {
  return {
    name: "dlrm",
    inputs: config,
    logits(p: Parameters, dense: Tensor, rows: Tensor): Tensor {
      const batch = rows.shape[0]!;
      const x =
        config.dense > 0 ? mlp(p, "bottom", dense, [...config.bottom, config.dim], { initializers }) : null;
      const joined = interact(x, rows, config);
      const out = mlp(p, "top", joined, [...config.top, 1], { linearOutput: true, initializers });
      return reshape(out, [batch]);
    },
  };
}

/** R = [x, lower triangle of V·Vᵀ], V = [x, y₁ … y_T]. */
function interact(x: Tensor | null, rows: Tensor, { tables, dim }: DlrmConfig): Tensor {
  const batch = rows.shape[0]!;
  if (tables === 0) return x!;
  if (!x) return tables === 1 ? reshape(rows, [batch, dim]) : dotInteraction(rows);
  return featureInteraction(x, rows);
}
