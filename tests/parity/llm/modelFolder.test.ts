/** @file Model folders as they are published: element types, names, and what is wrong with them told by name. */
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { SafetensorsFile, SafetensorsWriter } from "../../../src/data/safetensors.ts";
import { decodeHalf, encodeHalf } from "../../../src/engine/half.ts";
import type { Shape } from "../../../src/engine/shape.ts";
import { openModelFolder } from "../../../src/llm/load/modelFolder.ts";
import { caseFolder } from "./goldenModels.ts";

interface Weight {
  shape: Shape;
  values: Float32Array;
}

/** Writes a folder's weights anew, changed. */
async function rewrite(
  folder: string,
  change: (weights: Map<string, Weight>) => void,
  dtype: "float32" | "float16" | "bfloat16" = "float32",
): Promise<Map<string, Weight>> {
  const weights = new Map<string, Weight>();
  for (const name of await readdir(folder)) {
    if (!name.endsWith(".safetensors")) continue;
    const file = await SafetensorsFile.open(join(folder, name));
    for (const [tensor, { shape }] of file.tensors)
      weights.set(tensor, { shape, values: (await file.read(tensor)) as Float32Array });
    await file.close();
    await rm(join(folder, name));
  }
  await rm(join(folder, "model.safetensors.index.json"), { force: true });
  change(weights);
  const tensors = [...weights].map(([name, { shape }]) => ({ name, dtype, shape }));
  const writer = await SafetensorsWriter.create(join(folder, "model.safetensors"), tensors);
  for (const [name, { values }] of weights)
    await writer.write(name, dtype === "float32" ? values : encodeHalf(dtype, values));
  await writer.finish();
  return weights;
}

async function withFolder(
  model: string,
  change: Record<string, unknown>,
  work: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = await caseFolder(model, "default", change);
  try {
    await work(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

const refusal = (code: string, message: string): unknown =>
  expect.objectContaining({ code, message: expect.stringContaining(message) as unknown });

describe("a model folder", () => {
  test.each(["float16", "bfloat16"] as const)("of %s is widened exactly", (dtype) =>
    withFolder("gpt2", {}, async (folder) => {
      const weights = await rewrite(folder, () => undefined, dtype);
      const files = await openModelFolder(folder);
      const { values } = weights.get("transformer.h.1.mlp.c_fc.weight")!;
      expect(await files.read("h.1.mlp.c_fc.weight")).toEqual(decodeHalf(dtype, encodeHalf(dtype, values)));
      await files.close();
    }),
  );

  test("of a GPT-2 may lack the prefix of its names, and carry masks and a copy of the embedding", () =>
    withFolder("gpt2", {}, async (folder) => {
      await rewrite(folder, (weights) => {
        for (const [name, weight] of weights.entries().toArray()) {
          weights.delete(name);
          weights.set(name.replace("transformer.", ""), weight);
        }
        weights.set("h.0.attn.bias", { shape: [2], values: Float32Array.of(1, 0) });
        weights.set("lm_head.weight", weights.get("wte.weight")!);
      });
      const files = await openModelFolder(folder);
      expect((await files.read("wpe.weight")).length).toBe(128 * 32);
      await files.close();
    }));

  test("that lacks a tensor, has another one or one of another shape, is refused by its name", () =>
    withFolder("llama", {}, async (folder) => {
      const name = "model.layers.1.mlp.up_proj.weight";
      let held: Weight | undefined;
      await rewrite(folder, (weights) => {
        held = weights.get(name)!;
        weights.delete(name);
      });
      await expect(openModelFolder(folder)).rejects.toThrow(refusal("LLM_TENSOR", `got no ${name}`));
      await rewrite(folder, (weights) => {
        weights.set(name, held!);
        weights.set("model.layers.2.mlp.up_proj.weight", held!);
      });
      await expect(openModelFolder(folder)).rejects.toThrow(
        refusal("LLM_TENSOR", "got model.layers.2.mlp.up_proj.weight"),
      );
      await rewrite(folder, (weights) => {
        weights.delete("model.layers.2.mlp.up_proj.weight");
        weights.set(name, { ...held!, shape: [32, 48] });
      });
      await expect(openModelFolder(folder)).rejects.toThrow(
        refusal("LLM_TENSOR", `${name} must be [48, 32]`),
      );
    }));

  test.each([
    ["another model type", { model_type: "mamba" }, 'got "mamba"'],
    ["another rotation", { rope_parameters: { rope_type: "spiral" } }, 'got "spiral"'],
    ["another activation", { hidden_act: "relu" }, 'got "relu"'],
  ])("with %s is refused by its name", (_, change, message) =>
    withFolder("llama", change, async (folder) => {
      await expect(openModelFolder(folder)).rejects.toThrow(refusal("LLM_UNSUPPORTED", message));
    }),
  );

  test.each([
    ["no layers", { num_hidden_layers: 0 }, "num_hidden_layers"],
    ["heads that do not divide", { num_key_value_heads: 3 }, "got 3"],
  ])("with %s is refused", (_, change, message) =>
    withFolder("llama", change, async (folder) => {
      await expect(openModelFolder(folder)).rejects.toThrow(refusal("LLM_MODEL_DAMAGED", message));
    }),
  );
});
