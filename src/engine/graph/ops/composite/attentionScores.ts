/**
 * @file What attention and its gradient share: which operands fit, which keys a query sees, and the scores of keys, by
 * primitives. `cuda` computes the same in kernels that never store a score.
 */
import { isHalf } from "../../../../base/dtype.ts";
import { ParetoError } from "../../../../base/errors.ts";
import { formatShape, type Shape } from "../../../../base/shape.ts";
import type { AttentionAttrs } from "../../opAttrs.ts";
import type { Tensor } from "../../node.ts";
import { add, cast, less, lessEqual, logicalAnd, mul, sub, where } from "../elementwise.ts";
import { matmul } from "../contraction.ts";
import { constant, scalarLike } from "../leaf.ts";
import { reshape } from "../movement.ts";

/** The score of a key that is not allowed; it keeps a row that allows none finite, and uniform. */
const MASKED_SCORE = -1e30;
/** The score of a key past the end of a text: nothing beside any other key, allowed or not. */
const ABSENT_SCORE = -2e30;

/** Sizes of an attention: query heads share key heads in groups. */
interface Sizes {
  readonly batch: number;
  readonly heads: number;
  readonly keyHeads: number;
  readonly queries: number;
  readonly keys: number;
  readonly width: number;
}

/** Operands of an attention beside queries, keys and values. */
export interface OptionalOperands {
  readonly mask: Tensor | undefined;
  readonly lengths: Tensor | undefined;
}

/** Which of the operands that may be left out are there: they follow the others in this order. */
export function optionalOperands(operands: readonly (Tensor | undefined)[]): OptionalOperands {
  return {
    mask: operands.find((t) => t?.dtype === "bool"),
    lengths: operands.find((t) => t?.dtype === "int32"),
  };
}

function sizesOf(q: Tensor, k: Tensor): Sizes {
  const [batch, heads, queries, width] = q.shape as [number, number, number, number];
  const [, keyHeads, keys] = k.shape as [number, number, number];
  return { batch, heads, keyHeads, queries, keys, width };
}

/**
 * Checks the operands of an attention.
 * @throws ParetoError `SHAPE_ATTENTION`, `ATTENTION_WINDOW`
 */
export function checkAttention(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  { mask, lengths }: OptionalOperands,
  { alibiSlopes, window }: AttentionAttrs,
): void {
  const shapes = `${formatShape(q.shape)}, ${formatShape(k.shape)}, ${formatShape(v.shape)}`;
  const refuse = (message: string, fix: string, code = "SHAPE_ATTENTION") => {
    throw new ParetoError({ code, where: "attention", message: `attention: ${message}`, fix });
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
  if (lengths && formatShape(lengths.shape) !== formatShape([batch])) {
    refuse(
      `there must be a length for each of the ${batch} sequences, got ${formatShape(lengths.shape)}`,
      "Pass the lengths as int32 [B].",
    );
  }
  if (alibiSlopes && alibiSlopes.length !== heads) {
    refuse(
      `there must be an ALiBi slope for each of the ${heads} query heads, got ${alibiSlopes.length}`,
      "Pass one slope a query head.",
    );
  }
  if (window !== undefined && !(Number.isInteger(window) && window >= 1)) {
    refuse(
      `the window must be a whole number of keys from 1 on, got ${window}`,
      "Leave the window out to see all keys.",
      "ATTENTION_WINDOW",
    );
  }
}

/** from, from + 1, … as int32. */
function iota(length: number, from: number, shape: Shape): Tensor {
  return constant(
    Int32Array.from({ length }, (_, i) => i + from),
    shape,
    "int32",
  );
}

const both = (a: Tensor | undefined, b: Tensor | undefined) => (a && b ? logicalAnd(a, b) : (a ?? b));

/** A mask over `[B, Hkv, H / Hkv, T, S]`. */
function grouped(mask: Tensor, { keyHeads, heads }: Sizes): Tensor {
  const [b, h, t, s] = [1, 1, 1, ...mask.shape].slice(-4) as [number, number, number, number];
  return reshape(mask, h === 1 ? [b, 1, 1, t, s] : [b, keyHeads, heads / keyHeads, t, s]);
}

/** −slope · (i + S − T − j) over `[Hkv, H / Hkv, T, S]`. */
function alibiBias(
  slopes: readonly number[],
  { heads, keyHeads, queries, keys }: Sizes,
  like: Tensor,
): Tensor {
  const ahead = sub(iota(keys, 0, [1, keys]), iota(queries, keys - queries, [queries, 1]));
  const factors = constant(Float32Array.from(slopes), [keyHeads, heads / keyHeads, 1, 1]);
  return mul(cast(factors, like.dtype), cast(ahead, like.dtype));
}

/** Operands by heads of keys, `[B, Hkv, H / Hkv or 1, …, D]`, with zeros past the ends of texts, and scores. */
export interface Scores {
  readonly rows: Tensor;
  readonly columns: Tensor;
  /** The keys seen, broadcast to the scores, if not all are. */
  readonly seen: Tensor | undefined;
  /** `[B, Hkv, H / Hkv, T, S]` */
  readonly masked: Tensor;
  /** Anything of the queries' shape by heads of keys, with zeros past the ends of texts. */
  readonly ofQueries: (t: Tensor) => Tensor;
  /** Anything of the keys' shape, likewise. */
  readonly ofKeys: (t: Tensor) => Tensor;
}

/** Scores of the keys, and what they are made of; q and k are not of 16 bits. */
export function attentionScores(
  q: Tensor,
  k: Tensor,
  { mask, lengths }: OptionalOperands,
  { causal, scale, alibiSlopes, window }: AttentionAttrs,
): Scores {
  const sizes = sizesOf(q, k);
  const { batch, heads, keyHeads, queries, keys, width } = sizes;
  const key = iota(keys, 0, [1, keys]);
  const query = iota(queries, keys - queries, [queries, 1]);
  const ends = lengths && reshape(lengths, [batch, 1, 1, 1, 1]);
  const zeroed = (t: Tensor, exists: Tensor | undefined) => (exists ? where(exists, t, scalarLike(t, 0)) : t);
  const queryExists = ends && less(query, ends);
  const keyExists = ends && less(key, ends);
  const ofQueries = (t: Tensor) =>
    zeroed(reshape(t, [batch, keyHeads, heads / keyHeads, queries, width]), queryExists);
  const ofKeys = (t: Tensor) =>
    zeroed(reshape(t, [batch, keyHeads, 1, keys, width]), ends && less(reshape(key, [keys, 1]), ends));

  let seen = mask && grouped(mask, sizes);
  if (causal) seen = both(seen, lessEqual(key, query));
  if (window !== undefined) seen = both(seen, less(sub(query, window), key));
  const [rows, columns] = [ofQueries(q), ofKeys(k)];
  const products = mul(matmul(rows, columns, { transposeB: true }), scale);
  const scores = alibiSlopes ? add(products, alibiBias(alibiSlopes, sizes, products)) : products;
  let masked = seen ? where(seen, scores, scalarLike(scores, MASKED_SCORE)) : scores;
  if (keyExists) masked = where(keyExists, masked, scalarLike(scores, ABSENT_SCORE));
  return { rows, columns, seen: both(seen, keyExists), masked, ofQueries, ofKeys };
}

/** A tensor in which sums are made: float32 in place of 16 bits. */
export const wide = (t: Tensor): Tensor => (isHalf(t.dtype) ? cast(t, "float32") : t);
