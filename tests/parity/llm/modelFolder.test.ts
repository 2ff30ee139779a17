/** @file Model folders as they are published: element types, names, and what is wrong with them told by name. */
import { mkdir, readdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { SafetensorsFile, SafetensorsWriter } from "../../../src/base/safetensors.ts";
import { decodeHalf, encodeHalf } from "../../../src/base/half.ts";
import type { Shape } from "../../../src/base/shape.ts";
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

  test("that lacks a tensor or has one of another shape is refused by its name; one too many is said", () =>
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
      const files = await openModelFolder(folder);
      expect(files.notices.map(({ message }) => message)).toEqual([
        expect.stringContaining("model.layers.2.mlp.up_proj.weight"),
      ]);
      await files.close();
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

  test("is found behind links, as the hub's cache lays it out", () =>
    withFolder("llama", {}, async (folder) => {
      const snapshot = join(folder, "a snapshot");
      const names = await readdir(folder);
      await mkdir(snapshot);
      for (const name of names) await symlink(join("..", name), join(snapshot, name));
      const files = await openModelFolder(snapshot);
      expect(files.name).toBe("a snapshot");
      await files.close();
    }));

  test("ends texts as its generation_config.json says, or else its config.json", () =>
    withFolder("llama", { eos_token_id: [5, 6] }, async (folder) => {
      const ends = async (json: object) => {
        await writeFile(join(folder, "generation_config.json"), `\uFEFF${JSON.stringify(json)}`);
        const files = await openModelFolder(folder);
        await files.close();
        return files.config.eosTokenIds;
      };
      expect(await ends({ eos_token_id: [7, 8] })).toEqual([7, 8]);
      expect(await ends({ eos_token_id: 9 })).toEqual([9]);
      expect(await ends({})).toEqual([5, 6]);
    }));

  test("may carry masks of element types that are not read", () =>
    withFolder("gpt2", {}, async (folder) => {
      await rewrite(folder, (weights) => {
        weights.set("transformer.h.0.attn.bias", { shape: [2], values: Float32Array.of(1, 0) });
      });
      const path = join(folder, "model.safetensors");
      const bytes = await readFile(path);
      const name = Buffer.from('"transformer.h.0.attn.bias":{"dtype":"F32","shape":[2]');
      const other = Buffer.from('"transformer.h.0.attn.bias":{"dtype":"U8","shape":[8] ');
      expect(other.length).toBe(name.length);
      other.copy(bytes, bytes.indexOf(name));
      await writeFile(path, bytes);
      await (await openModelFolder(folder)).close();
    }));

  test.each([
    ["pickled weights alone", "pytorch_model.bin", "got pytorch_model.bin", "save_pretrained"],
    ["weights in another format", "model.Q4.gguf", "got model.Q4.gguf", "Download"],
  ])("with %s says so", (_, name, message, fix) =>
    withFolder("gpt2", {}, async (folder) => {
      await rename(join(folder, "model.safetensors"), join(folder, name));
      await expect(openModelFolder(folder)).rejects.toThrow(refusal("LLM_FILE_MISSING", message));
      await expect(openModelFolder(folder)).rejects.toMatchObject({
        fix: expect.stringContaining(fix) as unknown,
      });
    }),
  );

  test("names a file that its index names and that is not there", () =>
    withFolder("gpt2", {}, async (folder) => {
      await rename(join(folder, "model.safetensors"), join(folder, "model-1.safetensors"));
      const weight_map = { a: "model-1.safetensors", b: "model-2.safetensors" };
      await writeFile(join(folder, "model.safetensors.index.json"), JSON.stringify({ weight_map }));
      await expect(openModelFolder(folder)).rejects.toThrow(
        refusal("LLM_FILE_MISSING", "got no model-2.safetensors"),
      );
    }));

  test("that Git fetched without its weights says so", () =>
    withFolder("gpt2", {}, async (folder) => {
      const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n";
      await writeFile(join(folder, "model.safetensors"), pointer);
      await expect(openModelFolder(folder)).rejects.toThrow(refusal("LLM_MODEL_DAMAGED", "Git LFS"));
    }));
});
