/** @file A factorization machine (Rendle 2010) as a CTR model. In `src/recsys/models/fm.ts`, with a line in `registry.ts`. */
import { z } from "zod";
import { wholeNumber } from "../../src/base/optionSchemas.ts";
import { add, mul, reshape, sub, sum, type Tensor } from "../../src/engine/index.ts";
import { linear } from "../../src/nn/index.ts";
import { defineCtrModel } from "../../src/recsys/models/ctrModel.ts";

/** ½·Σ_d [(Σ_t v_td)² − Σ_t v_td²]: the dot products of all pairs of embeddings. @param v `[B, T, D]` @returns `[B]` */
function pairs(v: Tensor): Tensor {
  const total = sum(v, 1);
  const difference = sub(mul(total, total), sum(mul(v, v), 1));
  return mul(sum(difference, 1), 0.5);
}

export const fm = defineCtrModel({
  name: "fm",
  summary:
    "Adds a weight for each id, dot products of all pairs of embeddings, and a linear layer on dense inputs.",
  source: "Rendle, Factorization Machines, ICDM 2010",
  options: z.object({
    dim: wholeNumber({ min: 1, max: 4096 }).default(16).describe("Floats of an embedding."),
  }),
  create: ({ dim }, { dense, categorical }) => ({
    name: "fm",
    inputs: { dense: dense.length, fields: categorical.map(() => ({ dim, hasFirstOrder: true })) },
    apply(parameters, features) {
      const fields = categorical.map((_, field) => features.firstOrder(field));
      const ids = fields.reduce(add);
      const batch = ids.shape[0]!;
      const logits = add(ids, pairs(features.embeddings));
      if (dense.length === 0) return logits;
      return add(logits, reshape(linear(parameters, "dense", features.dense, 1), [batch]));
    },
  }),
});
