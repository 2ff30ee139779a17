/** @file The recipes that ship with Pareto: each describes a model of the size that is said, on data that it can learn. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { sizeOf } from "../../../../src/base/shape.ts";
import { readConfig } from "../../../../src/llm/load/readConfig.ts";
import { decoderOf } from "../../../../src/llm/models/models.ts";
import { WORDS } from "../../../../src/llm/tasks/words.ts";
import { parseRecipe, readRecipe } from "../../../../src/llm/training/recipe.ts";
import { tinyRecipe } from "../../../support/llm/tinyRecipes.ts";

const files = await readdir(join(import.meta.dirname, "../../../../recipes"));
const names = files.filter((file) => file.endsWith(".json")).map((file) => file.slice(0, -".json".length));

describe.each(names)("%s", (name) => {
  test("is a model of some million parameters for 1,024 tokens", async () => {
    const recipe = await readRecipe(name);
    expect(recipe.name).toBe(name);
    const vocabulary = recipe.data.kind === "text" ? recipe.data.vocabulary : WORDS.length;
    const config = readConfig(JSON.stringify({ ...recipe.model, vocab_size: vocabulary }), name);
    const shapes = [...decoderOf(config).tensors.values()];
    const parameters = shapes.reduce((n, shape) => n + sizeOf(shape), 0);
    expect(parameters).toBeGreaterThan(1e6);
    expect(parameters).toBeLessThan(recipe.data.kind === "text" ? 5e6 : 2.5e6);
    expect(config.maxPositions).toBe(1024);
    expect(recipe.stages.at(-1)!.length).toBe(1024);
    expect(recipe.validation.length).toBe(1024);
  });
});

test("the four models have recipes", () => {
  expect(names.toSorted()).toEqual(["recall-alibi", "recall-learned", "recall-rotary", "shakespeare"]);
});

test("a wrong recipe is told where it is wrong", () => {
  const recipe = tinyRecipe("llama", "tasks");
  const parse = (changes: object) => () => parseRecipe({ ...recipe, ...changes }, "mine.json");
  const wrong = (where: string) =>
    expect.objectContaining({ code: "LLM_RECIPE", message: expect.stringContaining(where) as string });
  expect(parse({ stages: [] })).toThrow(wrong("stages"));
  expect(parse({ data: { kind: "images" } })).toThrow(wrong("data.kind"));
  expect(parse({ epochs: 3 })).toThrow(wrong("epochs"));
});
