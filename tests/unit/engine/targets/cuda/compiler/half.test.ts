/** @file Generated code over 16-bit floats: float32 between ops, rounded where stored, compared or cast. */
import { expect, test } from "vitest";
import { trace, type Traced } from "../../../../../../src/engine/graph/graph.ts";
import type { Tensor } from "../../../../../../src/engine/graph/node.ts";
import { cast, exp, less, mul } from "../../../../../../src/engine/graph/ops/elementwise.ts";
import { lowerGraph } from "../../../../../../src/engine/targets/cuda/compiler/lowerGraph.ts";

/** The bodies of the kernels of a model over x [3] of a type. */
function bodies(dtype: "float16" | "bfloat16", model: (x: Tensor) => Traced): string[] {
  const graph = trace({ x: { shape: [3], dtype } }, ({ x }) => model(x));
  const limits = { multiprocessors: 132, maxSharedBytes: 232_448 };
  const { steps } = lowerGraph(graph, { ...limits, compute: "float32", rules: {} as never });
  return steps.flatMap((step) => {
    if (step.kind !== "kernel") return [];
    return step.source.code.slice(step.source.code.indexOf("if (i0 < 3)"));
  });
}

test("a chain is computed in float32 and rounded when it is stored", () => {
  expect(bodies("bfloat16", (x) => ({ outputs: { y: exp(mul(x, 0.5)) } }))).toMatchInlineSnapshot(`
    [
      "if (i0 < 3) {
        const float v1 = from_bfloat16(p0[i0]);
        const float v2 = v1 * 0.5f;
        const float v3 = expf(v2);
        p1[i0] = to_bfloat16(v3);
      }
    }
    ",
    ]
  `);
});

test("what is compared, and what a cast gives, is rounded before", () => {
  expect(
    bodies("float16", (x) => {
      const e = exp(x);
      return { outputs: { less: less(e, x), wide: cast(cast(e, "bfloat16"), "float32") } };
    }),
  ).toMatchInlineSnapshot(`
    [
      "if (i0 < 3) {
        const float v1 = from_float16(p0[i0]);
        const float v2 = expf(v1);
        const bool v3 = from_float16(to_float16(v2)) < from_float16(to_float16(v1));
        const float v4 = from_bfloat16(to_bfloat16(v2));
        const float v5 = v4;
        p1[i0] = (unsigned char)(v3);
        p2[i0] = v5;
      }
    }
    ",
    ]
  `);
});

test("constants are those that the type holds", () => {
  // The bfloat16 next to 0.1.
  expect(bodies("bfloat16", (x) => ({ outputs: { y: mul(x, 0.1) } }))[0]).toContain("0.100097656f");
});
