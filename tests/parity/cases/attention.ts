/** @file Cases of attention and its gradient, which is reached by differentiation. */
import { backpropagate } from "../../../src/engine/autodiff.ts";
import type { Tensor } from "../../../src/engine/graph/node.ts";
import { attention } from "../../../src/engine/graph/ops/composite/attention.ts";
import type { Shape } from "../../../src/engine/shape.ts";
import { bool, float, given, opCase, type OpCase } from "../harness/opCase.ts";

interface Problem {
  readonly name: string;
  readonly q: Shape;
  readonly k: Shape;
  readonly causal?: boolean;
  readonly scale?: number;
  /** Shape of a random mask, or a stated one. */
  readonly mask?: Shape | ReturnType<typeof given>;
}

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
];

const operandsOf = ({ q, k, mask }: Problem) => [
  float(q),
  float(k),
  float(k),
  ...(mask ? ["kind" in mask ? mask : bool(mask)] : []),
];

const attend =
  ({ causal, scale }: Problem) =>
  (q: Tensor, k: Tensor, v: Tensor, mask?: Tensor) =>
    attention(q, k, v, {
      ...(causal && { causal }),
      ...(scale !== undefined && { scale }),
      ...(mask && { mask }),
    });

const gradientOf = (problem: Problem) => (g: Tensor, q: Tensor, k: Tensor, v: Tensor, mask?: Tensor) =>
  backpropagate([attend(problem)(q, k, v, mask)], [g], [q, k, v]).map((t) => t!);

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
