/** @file Scaled dot-product attention over heads, and its gradient, each as one op. */
import { floatDtypes, isHalf } from "../../../dtype.ts";
import { ParetoError } from "../../../errors.ts";
import { formatShape, type Shape } from "../../../shape.ts";
import type { AttentionAttrs } from "../../opAttrs.ts";
import { applyAll, commonDtype, requireDtype, type OpDefinition, type Tensor } from "../../node.ts";
import { add, cast, exp, lessEqual, log, logicalAnd, mul, sub, where } from "../elementwise.ts";
import { matmul } from "../contraction.ts";
import { constant, scalarLike } from "../leaf.ts";
import { broadcastTo, reshape, sum } from "../movement.ts";
import { max, softmax } from "../reduce.ts";
import { derivedComposite } from "./composite.ts";

/** The score of a key that is not allowed; it keeps a row that allows none finite, and uniform. */
const MASKED_SCORE = -1e30;

/** Sizes of an attention: query heads share key heads in groups. */
interface Sizes {
  readonly batch: number;
  readonly heads: number;
  readonly keyHeads: number;
  readonly queries: number;
  readonly keys: number;
  readonly width: number;
}

function sizesOf(q: Tensor, k: Tensor): Sizes {
  const [batch, heads, queries, width] = q.shape as [number, number, number, number];
  const [, keyHeads, keys] = k.shape as [number, number, number, number];
  return { batch, heads, keyHeads, queries, keys, width };
}

function checkShapes(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | undefined): void {
  const shapes = `${formatShape(q.shape)}, ${formatShape(k.shape)}, ${formatShape(v.shape)}`;
  const refuse = (message: string, fix: string) => {
    throw new ParetoError({
      code: "SHAPE_ATTENTION",
      where: "attention",
      message: `attention: ${message}`,
      fix,
    });
  };
  if (q.shape.length !== 4 || k.shape.length !== 4 || formatShape(k.shape) !== formatShape(v.shape)) {
    refuse(
      `needs queries, and keys and values of one shape, of 4 axes, got ${shapes}`,
      "Use q [B, H, T, D] and k, v [B, Hkv, S, D].",
    );
  }
  const { batch, heads, keyHeads, queries, keys, width } = sizesOf(q, k);
  if (k.shape[0] !== batch || k.shape[3] !== width || keyHeads === 0 || heads % keyHeads !== 0) {
    refuse(
      `batch and width must agree and key heads divide query heads, got ${shapes}`,
      "Use q [B, H, T, D] and k, v [B, Hkv, S, D] with H a multiple of Hkv.",
    );
  }
  if (keys === 0) refuse(`no key to attend to, got ${shapes}`, "Give at least one key.");
  if (mask) {
    const over = [batch, heads, queries, keys];
    const aligned = over.slice(4 - mask.shape.length);
    if (mask.shape.length > 4 || mask.shape.some((size, axis) => size !== 1 && size !== aligned[axis])) {
      refuse(
        `the mask must broadcast to ${formatShape(over)}, got ${formatShape(mask.shape)}`,
        "Reshape the mask to [B, H, T, S] with 1 where it repeats.",
      );
    }
  }
}

/** 0, 1, … as int32. */
function iota(length: number, from: number, shape: Shape): Tensor {
  return constant(
    Int32Array.from({ length }, (_, i) => i + from),
    shape,
    "int32",
  );
}

/** Scores `[B, Hkv, H / Hkv, T, S]` and the keys allowed, if not all are. */
function scoresOf(q: Tensor, k: Tensor, mask: Tensor | undefined, attrs: AttentionAttrs) {
  const { batch, heads, keyHeads, queries, keys, width } = sizesOf(q, k);
  const group = heads / keyHeads;
  const rows = reshape(q, [batch, keyHeads, group, queries, width]);
  const columns = reshape(k, [batch, keyHeads, 1, keys, width]);
  let seen: Tensor | undefined;
  if (mask) {
    const [b, h, t, s] = [1, 1, 1, ...mask.shape].slice(-4) as [number, number, number, number];
    seen = reshape(mask, h === 1 ? [b, 1, 1, t, s] : [b, keyHeads, group, t, s]);
  }
  if (attrs.causal) {
    const past = lessEqual(iota(keys, 0, [1, keys]), iota(queries, keys - queries, [queries, 1]));
    seen = seen ? logicalAnd(seen, past) : past;
  }
  const scores = mul(matmul(rows, columns, { transposeB: true }), attrs.scale);
  const masked = seen ? where(seen, scores, scalarLike(scores, MASKED_SCORE)) : scores;
  return { rows, columns, seen, masked };
}

const wide = (t: Tensor) => (isHalf(t.dtype) ? cast(t, "float32") : t);

/** Out and log-sum-exp; 16-bit operands are computed with in float32 and the result is rounded once. */
function expandAttention(inputs: readonly Tensor[], attrs: AttentionAttrs): readonly Tensor[] {
  const [q, k, v] = inputs.slice(0, 3).map(wide) as [Tensor, Tensor, Tensor];
  const { masked } = scoresOf(q, k, inputs[3], attrs);
  const { batch, keyHeads, keys, width } = sizesOf(q, k);
  const values = reshape(v, [batch, keyHeads, 1, keys, width]);
  const most = max(masked, -1, true);
  const lse = add(most, log(sum(exp(sub(masked, most)), -1, true)));
  const out = reshape(matmul(softmax(masked), values), q.shape);
  return [cast(out, inputs[0]!.dtype), reshape(lse, q.shape.slice(0, 3))];
}

const attentionOp: OpDefinition<"attention"> = {
  name: "attention",
  infer: ([q, k, v, mask]) => {
    requireDtype("attention", q!, ...floatDtypes);
    const dtype = commonDtype("attention", [q!, k!, v!]);
    if (mask) requireDtype("attention", mask, "bool");
    checkShapes(q!, k!, v!, mask);
    return [
      { shape: q!.shape, dtype },
      { shape: q!.shape.slice(0, 3), dtype: isHalf(dtype) ? "float32" : dtype },
    ];
  },
  expand: expandAttention,
  gradient: ({ inputs: [q, k, v, mask], outputs: [out, lse], attrs }, [g]) => {
    // `attention` keeps the log-sum-exp to itself, so that no gradient flows from it.
    const operands = [q!, k!, v!, out!, lse!, g!, ...(mask ? [mask] : [])];
    const gradients = applyAll(attentionGradientOp, operands, attrs);
    return mask ? [...gradients, null] : gradients;
  },
};

/**
 * dL/dq, dL/dk, dL/dv from q, k, v, out, the log-sum-exp, dL/dout and the mask if there is one. The expansion makes
 * the weights anew from q and k, which is what derivatives of second order need.
 */
const attentionGradientOp = derivedComposite<"attentionGradient">({
  name: "attentionGradient",
  infer: ([q, k, v]) => [q!, k!, v!],
  expand: ([q, k, v, , , g, mask], attrs) => {
    const { rows, columns, seen, masked } = scoresOf(q!, k!, mask, attrs);
    const values = reshape(v!, columns.shape);
    const weights = softmax(masked);
    const outer = reshape(g!, rows.shape);
    const forWeights = matmul(outer, values, { transposeB: true });
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

/**
 * softmax(scale · q kᵀ) v for each head, with scores of keys that are not allowed replaced by −1e30: a query that
 * may see no key weighs all keys alike.
 * @param q `[B, H, T, D]`
 * @param k `[B, Hkv, S, D]`, H a multiple of Hkv: neighbouring query heads share a key head
 * @param v like `k`
 * @param options.causal query i sees keys up to i + S − T
 * @param options.scale of the scores, 1 / √D unless given
 * @param options.mask bool, broadcast to `[B, H, T, S]`: true where a query may see a key
 * @returns `[B, H, T, D]`
 * @throws ParetoError `SHAPE_ATTENTION`, `DTYPE_MIXED`, `DTYPE_OPERAND`
 */
export function attention(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  { causal = false, scale, mask }: { causal?: boolean; scale?: number; mask?: Tensor } = {},
): Tensor {
  const attrs = { causal, scale: scale ?? 1 / Math.sqrt(q.shape.at(-1)!) };
  return applyAll(attentionOp, mask ? [q, k, v, mask] : [q, k, v], attrs)[0]!;
}
