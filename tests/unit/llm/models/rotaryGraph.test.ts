/** @file Rotary positions in a graph against those of arrays, and that a GPU turns heads in one pass. */
import { describe, expect, test } from "vitest";
import { backpropagate } from "../../../../src/engine/autodiff.ts";
import { trace } from "../../../../src/engine/graph/graph.ts";
import { cast } from "../../../../src/engine/graph/ops/elementwise.ts";
import { reshape, transpose } from "../../../../src/engine/graph/ops/movement.ts";
import { openDevice } from "../../../../src/engine/openDevice.ts";
import { Rng } from "../../../../src/base/rng.ts";
import { rotate, type RotaryConfig, type RotaryScaling } from "../../../../src/llm/models/rotary.ts";
import { rotateHeads, rotaryTables } from "../../../../src/llm/models/rotaryGraph.ts";
import { kernelsOf, planOfModel } from "../../../support/engine/lowered.ts";

const [TEXTS, HEADS, LENGTH, WIDTH] = [2, 3, 40, 16];
const SHAPE = [TEXTS, HEADS, LENGTH, WIDTH];

/** Each way to stretch positions, for 8 elements that are turned. */
const scalings: RotaryScaling[] = [
  { kind: "default" },
  { kind: "dynamic", factor: 2, original: 32 },
  {
    kind: "longrope",
    shortFactor: [1, 1.5, 2, 3],
    longFactor: [2, 3, 4, 6],
    original: 32,
    attentionFactor: 1.2,
  },
];
const layouts = [
  { dim: 16, isInterleaved: false },
  { dim: 16, isInterleaved: true },
  { dim: 8, isInterleaved: false },
  { dim: 8, isInterleaved: true },
];
const rotaries: RotaryConfig[] = layouts.flatMap((layout) =>
  scalings
    .filter(({ kind }) => kind !== "longrope" || layout.dim === 8)
    .map((scaling) => ({ ...layout, theta: 100, scaling })),
);
const describeRotary = (rotary: RotaryConfig) => ({ ...rotary, kind: rotary.scaling.kind });

const uniform = (seed: number) => {
  const rng = new Rng(seed);
  return Float32Array.from({ length: TEXTS * HEADS * LENGTH * WIDTH }, () => rng.uniform() * 2 - 1);
};

describe.each(rotaries.map(describeRotary))("$kind, dim $dim of 16, interleaved $isInterleaved", (rotary) => {
  test("turns heads as arrays are turned, and gradients back", async () => {
    const device = await openDevice("reference");
    const spec = { shape: SHAPE, dtype: "float32" } as const;
    const program = await device.compile(
      trace({ x: spec, g: spec }, ({ x, g }) => {
        const y = rotateHeads(x, rotaryTables(rotary, LENGTH));
        return { outputs: { y, dx: backpropagate([y], [g], [x])[0]! } };
      }),
    );
    const [x, g] = [uniform(1), uniform(2)];
    const { y, dx } = await program.run({ x, g });
    const sizes = { rows: LENGTH, headDim: WIDTH, first: 0, length: LENGTH };
    const wanted = x.slice();
    const stride = LENGTH * WIDTH;
    for (let head = 0; head < TEXTS * HEADS; head++)
      rotate(wanted.subarray(head * stride, (head + 1) * stride), rotary, sizes);
    for (let i = 0; i < x.length; i++) expect(y![i]!).toBeCloseTo(wanted[i]!, 6);
    // ⟨g, R x⟩ = ⟨Rᵀ g, x⟩ for each position's rotation R.
    const inner = (a: ArrayLike<number>, b: ArrayLike<number>, from: number) =>
      Array.from({ length: WIDTH }, (_, i) => a[from + i]! * b[from + i]!).reduce((p, q) => p + q);
    for (let row = 0; row < x.length; row += WIDTH)
      expect(inner(g, y!, row)).toBeCloseTo(inner(dx!, x, row), 5);
    await device.dispose();
  });
});

test.each(layouts)(
  "a GPU turns heads in the pass that splits and rounds them: $dim, $isInterleaved",
  (layout) => {
    const rotary: RotaryConfig = { ...layout, theta: 1e4, scaling: { kind: "default" } };
    const plan = planOfModel({ x: { shape: [TEXTS * LENGTH, HEADS * WIDTH], dtype: "float32" } }, ({ x }) => {
      const heads = transpose(reshape(x, [TEXTS, LENGTH, HEADS, WIDTH]), [0, 2, 1, 3]);
      return { outputs: { y: cast(rotateHeads(heads, rotaryTables(rotary, LENGTH)), "bfloat16") } };
    });
    expect(plan.steps).toHaveLength(1);
    expect(kernelsOf(plan)).toHaveLength(1);
  },
);
