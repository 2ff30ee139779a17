/** @file Features of a CTR model from stored rows: embeddings, first-order weights, and what is refused. */
import { describe, expect, test } from "vitest";
import { trace } from "../../../../src/engine/graph/graph.ts";
import { openDevice } from "../../../../src/engine/openDevice.ts";
import type { FieldRequest } from "../../../../src/recsys/models/ctrModel.ts";
import { featuresOf, rowFloats } from "../../../../src/recsys/models/features.ts";

const inputsOf = (...fields: FieldRequest[]) => ({ dense: 1, fields });

describe("features of stored rows", () => {
  const field: FieldRequest = { dim: 2, hasFirstOrder: true };
  const inputs = inputsOf(field, field);

  test("are an embedding with its first-order weight behind it", async () => {
    const device = await openDevice("reference");
    try {
      const specs = {
        dense: { shape: [2, 1], dtype: "float32" as const },
        rows: { shape: [2, 2, rowFloats(inputs)], dtype: "float32" as const },
      };
      const program = await device.compile(
        trace(specs, ({ dense, rows }) => {
          const features = featuresOf(inputs, dense, rows);
          const { embeddings } = features;
          const [one, first] = [features.embedding(1), features.firstOrder(0)];
          return { outputs: { dense: features.dense, embeddings, one, first } };
        }),
      );
      // [input][field] [embedding, embedding, first-order weight]
      const rows = Float32Array.of(1, 2, 10, 3, 4, 20, 5, 6, 30, 7, 8, 40);
      const found = await program.run({ dense: Float32Array.of(0.5, 1.5), rows });
      expect(Object.fromEntries(Object.entries(found).map(([name, values]) => [name, [...values]]))).toEqual({
        dense: [0.5, 1.5],
        embeddings: [1, 2, 3, 4, 5, 6, 7, 8],
        one: [3, 4, 7, 8],
        first: [10, 30],
      });
    } finally {
      await device.dispose();
    }
  });

  test("may be first-order weights alone, or nothing", () => {
    expect(rowFloats(inputsOf({ dim: 0, hasFirstOrder: true }))).toBe(1);
    expect(rowFloats(inputsOf({ dim: 7 }, { dim: 7 }))).toBe(7);
    expect(rowFloats(inputsOf())).toBe(1);
  });

  test.each<[string, FieldRequest[], RegExp]>([
    ["dimensions that differ", [{ dim: 4 }, { dim: 8 }], /one dimension.*got 4 and 8$/],
    ["a mean", [{ dim: 4, pooling: "mean" }], /pooled by sum, got mean$/],
    ["sequences", [{ dim: 4, sequenceLength: 20 }], /not kept apart, got a sequence of 20$/],
    ["first-order weights of some", [{ dim: 4 }, { dim: 4, hasFirstOrder: true }], /all fields or of none/],
  ])("are refused where stores do not give %s", (_, fields, message) => {
    expect(() => rowFloats(inputsOf(...fields))).toThrow(
      expect.objectContaining({ code: "MODEL_FEATURES", message: expect.stringMatching(message) as string }),
    );
  });

  test("that the model does not name are a defect of it", async () => {
    const specs = { rows: { shape: [2, 1, 4], dtype: "float32" as const } };
    for (const ask of [
      (features: ReturnType<typeof featuresOf>) => features.firstOrder(0),
      (features: ReturnType<typeof featuresOf>) => features.embedding(1),
      (features: ReturnType<typeof featuresOf>) => features.sequence(0).lengths,
    ]) {
      expect(() =>
        trace(specs, ({ rows }) => ({ outputs: { x: ask(featuresOf(inputsOf({ dim: 4 }), rows, rows)) } })),
      ).toThrow();
    }
  });
});
