/** @file Scores that fade while tokens are decoded. */
import { expect, test } from "vitest";
import { keyformer } from "../../../../src/llm/index.ts";
import { driveCache } from "../../../support/llm/driveCache.ts";

const options = { budget: { count: 50 }, noise: "none", tauEnd: 1 } as const;

test("a decoded token's row is added to what is left of the scores; a prompt's rows are only summed", () => {
  // Equal logits: a row of n keys gives each 1 / n.
  const drive = (damping?: number) =>
    driveCache(() => 0, {
      policy: keyformer({ ...options, ...(damping !== undefined && { damping }) }),
      promptTokens: 2,
      newTokens: 2,
    }).steps.map((layers) => layers[0]![0]!.scores);
  const [prompt, first, second] = drive(0.5) as [number[], number[], number[]];
  const close = (values: number[]) => values.map((value) => expect.closeTo(value, 6));
  expect(prompt).toEqual(close([1.5, 0.5]));
  expect(first).toEqual(close([0.75 + 1 / 3, 0.25 + 1 / 3, 1 / 3]));
  expect(second).toEqual(close([(0.75 + 1 / 3) / 2 + 0.25, (0.25 + 1 / 3) / 2 + 0.25, 1 / 6 + 0.25, 0.25]));
  expect(drive(1)).toEqual(drive());
});

test.each([0, -1, 1.01, Number.NaN])("refuses %d", (damping) => {
  expect(() => keyformer({ ...options, damping })).toThrow(
    expect.objectContaining({ code: "KV_DAMPING" }) as Error,
  );
});
