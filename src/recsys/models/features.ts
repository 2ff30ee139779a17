/**
 * @file The features of a CTR model from what embedding stores give: dense columns `[B, m]` and one pooled row for each
 * field, `[B, T, S]`. A stored row holds an embedding and, where first-order weights are read, that weight behind it.
 *
 * Embedding stores have one dimension for all fields and pool by sum. What a model asks beyond that is refused.
 */
import { invariant, ParetoError } from "../../base/errors.ts";
import type { Tensor } from "../../engine/graph/node.ts";
import { reshape, slice } from "../../engine/graph/ops/movement.ts";
import type { CtrFeatures, CtrInputs } from "./ctrModel.ts";

/**
 * Floats of a stored row (S).
 * @throws ParetoError `MODEL_FEATURES` for what embedding stores do not give
 */
export function rowFloats({ fields }: CtrInputs): number {
  const [first] = fields;
  if (!first) return 1;
  for (const { dim, pooling = "sum", sequenceLength = 0, hasFirstOrder = false } of fields) {
    if (dim !== first.dim) {
      throw unsupported("embeddings have one dimension for all fields", `${first.dim} and ${dim}`);
    }
    if (hasFirstOrder !== (first.hasFirstOrder ?? false)) {
      throw unsupported("first-order weights are read of all fields or of none", "a part of them");
    }
    if (pooling !== "sum") throw unsupported("embeddings of an input's ids are pooled by sum", pooling);
    if (sequenceLength > 0) {
      throw unsupported("ids of an input are pooled, not kept apart", `a sequence of ${sequenceLength}`);
    }
  }
  return first.dim + (first.hasFirstOrder ? 1 : 0);
}

/**
 * Features of a batch.
 * @param dense `[B, m]`
 * @param rows `[B, T, S]`
 */
export function featuresOf({ fields }: CtrInputs, dense: Tensor, rows: Tensor): CtrFeatures {
  const batch = rows.shape[0]!;
  const [first] = fields;
  const dim = first?.dim ?? 0;
  /** Elements `from` to `to` of the row of a field, `[B, to - from]`. */
  const ofField = (field: number, from: number, to: number): Tensor => {
    invariant(field >= 0 && field < fields.length, `field ${field} is one of ${fields.length}`);
    const own = slice(rows, { 1: [field, field + 1], 2: [from, to] });
    return reshape(own, to - from === 1 ? [batch] : [batch, to - from]);
  };
  return {
    dense,
    embeddings: first?.hasFirstOrder ? slice(rows, { 2: [0, dim] }) : rows,
    embedding: (field) => reshape(ofField(field, 0, dim), [batch, dim]),
    sequence: () => {
      throw unsupported("ids of an input are pooled, not kept apart", "a sequence");
    },
    firstOrder: (field) => {
      invariant(fields[field]?.hasFirstOrder, `the model asks for first-order weights of field ${field}`);
      return ofField(field, dim, dim + 1);
    },
  };
}

function unsupported(rule: string, received: string): ParetoError {
  return new ParetoError({
    code: "MODEL_FEATURES",
    where: "CTR model",
    message: `${rule}, got ${received}`,
    fix: "Use a model whose fields have one dimension, pooled by sum.",
  });
}
