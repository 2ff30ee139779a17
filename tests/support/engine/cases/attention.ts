/** @file Cases of attention and its gradient, which is reached by differentiation. */
import { backpropagate } from "../../../../src/engine/autodiff.ts";
import type { Tensor } from "../../../../src/engine/graph/node.ts";
import { attention } from "../../../../src/engine/graph/ops/composite/attention.ts";
import type { Shape } from "../../../../src/base/shape.ts";
import { bool, float, given, opCase, type OpCase } from "../opCase.ts";

interface Problem {
  readonly name: string;
  readonly q: Shape;
  readonly k: Shape;
  readonly causal?: boolean;
  readonly scale?: number;
  /** Shape of a random mask, or a stated one. */
  readonly mask?: Shape | ReturnType<typeof given>;
  readonly window?: number;
  readonly alibiSlopes?: readonly number[];
  readonly lengths?: readonly number[];
}

/** Slopes 1/2, 1/4, … as models of few heads have them. */
const slopes = (heads: number) => Array.from({ length: heads }, (_, head) => 2 ** -(head + 1));

const problems: readonly Problem[] = [
  { name: "one head", q: [1, 1, 3, 4], k: [1, 1, 3, 4] },
  { name: "causal", q: [2, 2, 5, 3], k: [2, 2, 5, 3], causal: true },
  { name: "causal with more keys", q: [1, 2, 3, 4], k: [1, 2, 6, 4], causal: true, scale: 0.3 },
  { name: "causal with queries that see no key", q: [1, 1, 6, 4], k: [1, 1, 4, 4], causal: true },
  { name: "grouped heads", q: [2, 4, 3, 4], k: [2, 2, 5, 4] },
  { name: "mask of the keys of each sequence", q: [2, 2, 4, 4], k: [2, 2, 3, 4], mask: [2, 1, 1, 3] },
  { name: "mask of each head, grouped", q: [1, 4, 3, 4], k: [1, 2, 3, 4], mask: [4, 3, 3], causal: true },
  {
    name: "a row that allows no key",
    q: [1, 1, 2, 4],
    k: [1, 1, 3, 4],
    mask: given("bool", [2, 3], [0, 0, 0, 1, 0, 1]),
  },
  { name: "one key", q: [1, 2, 3, 4], k: [1, 1, 1, 4] },
  { name: "no queries", q: [1, 2, 0, 4], k: [1, 1, 2, 4] },
  { name: "a window", q: [1, 2, 6, 4], k: [1, 1, 6, 4], causal: true, window: 3 },
  { name: "a window of one key", q: [1, 1, 3, 4], k: [1, 1, 5, 4], causal: true, window: 1 },
  { name: "a window and what follows", q: [1, 1, 5, 4], k: [1, 1, 5, 4], window: 2 },
  { name: "a window with a mask", q: [1, 2, 5, 4], k: [1, 2, 6, 4], causal: true, window: 3, mask: [5, 6] },
  { name: "ALiBi", q: [2, 4, 4, 4], k: [2, 2, 6, 4], causal: true, alibiSlopes: slopes(4) },
  { name: "ALiBi, not causal", q: [1, 2, 3, 4], k: [1, 2, 4, 4], alibiSlopes: slopes(2), window: 3 },
  {
    name: "sequences of unequal lengths",
    q: [3, 2, 4, 4],
    k: [3, 1, 4, 4],
    causal: true,
    lengths: [4, 1, 2],
  },
  {
    name: "lengths with more keys, ALiBi and a window",
    q: [3, 2, 3, 4],
    k: [3, 2, 5, 4],
    causal: true,
    window: 2,
    alibiSlopes: slopes(2),
    lengths: [5, 3, 0],
  },
];

/** Widths and lengths that tiles treat differently; central differences would take too long. */
const large: readonly Problem[] = [
  { name: "tiles, causal", q: [1, 2, 150, 64], k: [1, 1, 150, 64], causal: true },
  { name: "tiles of unequal lengths", q: [1, 2, 70, 128], k: [1, 2, 200, 128], causal: true },
  { name: "tiles with a mask", q: [2, 2, 40, 32], k: [2, 2, 130, 32], mask: [2, 1, 40, 130] },
  { name: "many tiles, causal, grouped", q: [1, 2, 330, 64], k: [1, 1, 330, 64], causal: true },
  {
    name: "tiles, causal, with a mask",
    q: [1, 2, 140, 128],
    k: [1, 1, 150, 128],
    mask: [140, 150],
    causal: true,
  },
  { name: "tiles with queries that see no key", q: [1, 1, 140, 64], k: [1, 1, 70, 64], causal: true },
  { name: "tiles of more heads than go together", q: [3, 3, 20, 64], k: [3, 3, 40, 64] },
  { name: "a narrow width", q: [1, 2, 70, 16], k: [1, 2, 90, 16], causal: true },
  { name: "a width between", q: [1, 1, 33, 80], k: [1, 1, 65, 80] },
  { name: "a wide width", q: [1, 1, 20, 192], k: [1, 1, 35, 192], causal: true },
  { name: "a width beyond", q: [1, 1, 20, 264], k: [1, 1, 35, 264], causal: true },
  { name: "width 256, causal, grouped", q: [1, 2, 70, 256], k: [1, 1, 135, 256], causal: true },
  { name: "width 256 with a mask", q: [1, 1, 30, 256], k: [1, 1, 140, 256], mask: [30, 140] },
  ...[64, 80, 256].flatMap((width): Problem[] => [
    {
      name: `tiles of width ${width}, ALiBi, grouped`,
      q: [1, 4, 140, width],
      k: [1, 2, 150, width],
      causal: true,
      alibiSlopes: slopes(4),
    },
    {
      name: `tiles of width ${width}, a window`,
      // long enough that tiles before the window are skipped
      q: [1, 1, width === 256 ? 200 : 330, width],
      k: [1, 1, width === 256 ? 210 : 340, width],
      causal: true,
      window: 40,
    },
    {
      name: `tiles of width ${width}, lengths, ALiBi and a window`,
      q: [3, 2, 140, width],
      k: [3, 1, 140, width],
      causal: true,
      window: 50,
      alibiSlopes: slopes(2),
      lengths: [140, 65, 130],
    },
  ]),
  { name: "tiles, a window that sees ahead", q: [1, 1, 260, 64], k: [1, 1, 200, 64], window: 20 },
  { name: "plain tiles, a window", q: [1, 2, 90, 24], k: [1, 1, 130, 24], causal: true, window: 20 },
  {
    name: "plain tiles, lengths and ALiBi",
    q: [2, 2, 90, 24],
    k: [2, 1, 90, 24],
    causal: true,
    alibiSlopes: slopes(2),
    lengths: [90, 37],
  },
  {
    name: "tiles, one query after many keys, a window",
    q: [1, 1, 2, 64],
    k: [1, 1, 400, 64],
    causal: true,
    window: 60,
  },
];

const operandsOf = ({ q, k, mask, lengths }: Problem) => [
  float(q),
  float(k),
  float(k),
  ...(mask ? ["kind" in mask ? mask : bool(mask)] : []),
  ...(lengths ? [given("int32", [lengths.length], lengths)] : []),
];

const attend =
  ({ causal, scale, window, alibiSlopes }: Problem) =>
  (q: Tensor, k: Tensor, v: Tensor, ...rest: Tensor[]) => {
    const mask = rest.find((t) => t.dtype === "bool");
    const lengths = rest.find((t) => t.dtype === "int32");
    return attention(q, k, v, {
      ...(causal && { causal }),
      ...(scale !== undefined && { scale }),
      ...(window !== undefined && { window }),
      ...(alibiSlopes && { alibiSlopes }),
      ...(mask && { mask }),
      ...(lengths && { lengths }),
    });
  };

const gradientOf =
  (problem: Problem) =>
  (g: Tensor, q: Tensor, k: Tensor, v: Tensor, ...rest: Tensor[]) =>
    backpropagate([attend(problem)(q, k, v, ...rest)], [g], [q, k, v]).map((t) => t!);

const skip = { noFiniteDifference: "too many elements" };

/** Cases by op. */
export const attentionCases = {
  attention: [
    ...problems.map((p) => opCase(p.name, operandsOf(p), attend(p))),
    ...large.map((p) => opCase(p.name, operandsOf(p), attend(p), skip)),
  ],
  attentionGradient: [
    ...problems.map((p) => opCase(p.name, [float(p.q), ...operandsOf(p)], gradientOf(p))),
    ...large.map((p) => opCase(p.name, [float(p.q), ...operandsOf(p)], gradientOf(p), skip)),
  ],
} satisfies Record<string, readonly OpCase[]>;
