/** @file Scaled dot-product attention over heads, and its gradient, each as one op. */
import { floatDtypes, isHalf } from "../../../../base/dtype.ts";
import type { AttentionAttrs } from "../../opAttrs.ts";
import { applyAll, commonDtype, requireDtype, type OpDefinition, type Tensor } from "../../node.ts";
import { add, cast, exp, log, mul, sub, where } from "../elementwise.ts";
import { matmul } from "../contraction.ts";
import { scalarLike } from "../leaf.ts";
import { broadcastTo, reshape, sum } from "../movement.ts";
import { max, softmax } from "../reduce.ts";
import { attentionScores, checkAttention, optionalOperands, wide } from "./attentionScores.ts";
import { derivedComposite } from "./composite.ts";

/** Out and log-sum-exp; 16-bit operands are computed with in float32 and the result is rounded once. */
function decomposeAttention(inputs: readonly Tensor[], attrs: AttentionAttrs): readonly Tensor[] {
  const [q, k, v] = inputs.slice(0, 3).map(wide) as [Tensor, Tensor, Tensor];
  const optional = optionalOperands(inputs.slice(3));
  const { masked, ofQueries, ofKeys } = attentionScores(q, k, optional, attrs);
  const most = max(masked, -1, true);
  const lse = add(most, log(sum(exp(sub(masked, most)), -1, true)));
  const values = reshape(matmul(softmax(masked), ofKeys(v)), q.shape);
  const out = optional.lengths ? reshape(ofQueries(values), q.shape) : values;
  return [cast(out, inputs[0]!.dtype), reshape(lse, q.shape.slice(0, 3))];
}

const attentionOp: OpDefinition<"attention"> = {
  name: "attention",
  infer: ([q, k, v, ...rest], attrs) => {
    requireDtype("attention", q!, ...floatDtypes);
    const dtype = commonDtype("attention", [q!, k!, v!]);
    for (const t of rest) requireDtype("attention", t, "bool", "int32");
    checkAttention(q!, k!, v!, optionalOperands(rest), attrs);
    return [
      { shape: q!.shape, dtype },
      { shape: q!.shape.slice(0, 3), dtype: isHalf(dtype) ? "float32" : dtype },
    ];
  },
  decompose: decomposeAttention,
  gradient: ({ inputs: [q, k, v, ...rest], outputs: [out, lse], attrs }, [g]) => {
    // `attention` keeps the log-sum-exp to itself, so that no gradient flows from it.
    const gradients = applyAll(attentionGradientOp, [q!, k!, v!, out!, lse!, g!, ...rest], attrs);
    return [...gradients, ...rest.map(() => null)];
  },
};

/**
 * dL/dq, dL/dk, dL/dv from q, k, v, out, the log-sum-exp, dL/dout and the mask and lengths if there are. The decomposition
 * makes the weights anew from q and k, which is what derivatives of second order need.
 */
const attentionGradientOp = derivedComposite<"attentionGradient">({
  name: "attentionGradient",
  infer: ([q, k, v]) => [q!, k!, v!],
  decompose: ([q, k, v, , , g, ...rest], attrs) => {
    const { rows, columns, seen, masked, ofQueries, ofKeys } = attentionScores(
      q!,
      k!,
      optionalOperands(rest),
      attrs,
    );
    const weights = softmax(masked);
    const outer = ofQueries(g!);
    const forWeights = matmul(outer, ofKeys(v!), { transposeB: true });
    const forMasked = mul(weights, sub(forWeights, sum(mul(forWeights, weights), -1, true)));
    const forScores = seen
      ? where(broadcastTo(seen, masked.shape), forMasked, scalarLike(forMasked, 0))
      : forMasked;
    const scaled = mul(forScores, attrs.scale);
    return [
      reshape(matmul(scaled, columns), q!.shape),
      reshape(sum(matmul(scaled, rows, { transposeA: true }), 2), k!.shape),
      reshape(sum(matmul(weights, outer, { transposeA: true }), 2), v!.shape),
    ];
  },
});

/** What an attention may be given beside its operands. */
export interface AttentionOptions {
  /** Query i sees keys up to i' = i + S − T. */
  readonly causal?: boolean;
  /** Query i sees keys from i' − window + 1 on. */
  readonly window?: number;
  /** Of the scores, 1 / √D unless given. */
  readonly scale?: number;
  /** A slope for each query head: −slope · (i' − j) is added to the score of key j (Press et al., 2022, section 3). */
  readonly alibiSlopes?: readonly number[];
  /** bool, broadcast to `[B, H, T, S]`: true where a query may see a key. */
  readonly mask?: Tensor;
  /**
   * int32 `[B]`: how many keys, of S, each sequence has. Whatever lies past them, NaN too, changes nothing; queries
   * there, from i' = length on, give zeros.
   */
  readonly lengths?: Tensor;
}

/**
 * softmax(scale · q kᵀ) v for each head, with scores of keys that are not allowed replaced by −1e30: a query that
 * may see no key weighs all keys alike.
 * @param q `[B, H, T, D]`
 * @param k `[B, Hkv, S, D]`, H a multiple of Hkv: neighbouring query heads share a key head
 * @param v like `k`
 * @returns `[B, H, T, D]`
 * @throws ParetoError `SHAPE_ATTENTION`, `ATTENTION_WINDOW`, `DTYPE_MIXED`, `DTYPE_OPERAND`
 */
export function attention(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions = {}): Tensor {
  const { causal = false, scale, window, alibiSlopes, mask, lengths } = options;
  const attrs: AttentionAttrs = {
    causal,
    scale: scale ?? 1 / Math.sqrt(q.shape.at(-1)!),
    ...(window !== undefined && { window }),
    ...(alibiSlopes && { alibiSlopes }),
  };
  const operands = [q, k, v, mask, lengths].filter((t) => t !== undefined);
  return applyAll(attentionOp, operands, attrs)[0]!;
}
