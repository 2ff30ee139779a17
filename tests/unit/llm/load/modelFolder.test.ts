/** @file Folders of models as they are found: names, tensors too many, heads, and what is no model. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readConfig } from "../../../../src/llm/load/readConfig.ts";
import { openModel } from "../../../../src/llm/load/openModel.ts";
import { openModelFolder } from "../../../../src/llm/load/modelFolder.ts";
import { readModelShape } from "../../../../src/llm/load/modelConfig.ts";
import { decoderOf } from "../../../../src/llm/models/models.ts";
import { rawFloats, rawSafetensors, type RawTensor } from "../../../support/rawSafetensors.ts";

const LLAMA = {
  model_type: "llama",
  hidden_size: 8,
  intermediate_size: 12,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  vocab_size: 10,
  tie_word_embeddings: true,
};
const GPT2 = { model_type: "gpt2", n_embd: 8, n_layer: 1, n_head: 2, n_positions: 16, vocab_size: 10 };

/** The tensors of a model, each of values of its own, by the names that Hugging Face publishes. */
function tensorsOf(json: object): RawTensor[] {
  const config = readConfig(JSON.stringify(json), "config.json");
  const body = config.family === "llama" ? "" : "transformer.";
  return [...decoderOf(config).tensors].map(([name, shape], t) =>
    rawFloats(name.startsWith("lm_head") ? name : body + name, shape, (i) => t + i / 1024),
  );
}

const more = (name: string, dtype: string, shape: number[], bytes: number): RawTensor => ({
  name,
  dtype,
  shape,
  bytes: new Uint8Array(bytes),
});
const refusal = (code: string, message: string): unknown =>
  expect.objectContaining({ code, message: expect.stringContaining(message) as unknown });

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "pareto-folder-"));
});
afterEach(() => rm(folder, { recursive: true }));

async function write(json: object, tensors: readonly RawTensor[]): Promise<void> {
  await writeFile(join(folder, "config.json"), JSON.stringify(json));
  await writeFile(join(folder, "model.safetensors"), rawSafetensors(tensors));
}

/** What opening says, and the first elements of a tensor. */
async function opened(name: string): Promise<{ notices: string[]; first: number[] }> {
  const files = await openModelFolder(folder);
  try {
    const values = await files.read(name);
    return { notices: files.notices.map(({ message }) => message), first: Array.from(values.subarray(0, 2)) };
  } finally {
    await files.close();
  }
}

describe("names", () => {
  test.each([
    ["llama as it is published", LLAMA, (name: string) => name],
    ["llama as AutoModel saves it", LLAMA, (name: string) => name.replace(/^model\./, "")],
    ["gpt2 as it is published", GPT2, (name: string) => name],
    ["gpt2 as AutoModel saves it", GPT2, (name: string) => name.replace(/^transformer\./, "")],
  ])("of %s are found, without a word", async (_, json, rename) => {
    const tensors = tensorsOf(json);
    await write(
      json,
      tensors.map((tensor) => ({ ...tensor, name: rename(tensor.name) })),
    );
    for (const [t, name] of [...decoderOf(readConfig(JSON.stringify(json), "")).tensors.keys()].entries()) {
      const { notices, first } = await opened(name);
      expect(notices).toEqual([]);
      expect(first[0]).toBe(t);
    }
  });

  test("that stand twice, with the prefix and without, are refused", async () => {
    const tensors = tensorsOf(GPT2);
    await write(GPT2, [...tensors, { ...tensors[0]!, name: "wte.weight" }]);
    await expect(openModelFolder(folder)).rejects.toThrow(refusal("LLM_TENSOR", "for wte.weight"));
  });
});

describe("tensors that a model has no use for", () => {
  test("are left out whatever their type, with one notice that names them", async () => {
    await write(GPT2, [
      ...tensorsOf(GPT2),
      more("v_head.summary.weight", "F32", [1, 8], 32),
      more("transformer.position_ids", "I64", [1, 16], 128),
      more("score.weight", "F8_E4M3", [8], 8),
    ]);
    const { notices } = await opened("wte.weight");
    expect(notices).toEqual([
      "3 tensors of the files that such a model has not are left out: v_head.summary.weight, transformer.position_ids, score.weight",
    ]);
  });

  test("are not worth a word where they are masks and angles of older checkpoints", async () => {
    await write(GPT2, [
      ...tensorsOf(GPT2),
      more("transformer.h.0.attn.bias", "U8", [1, 1, 16, 16], 256),
      more("h.0.attn.masked_bias", "F32", [], 4),
    ]);
    expect((await opened("wte.weight")).notices).toEqual([]);
  });

  test("do not stand in for those that are missing: the first one and their number are named", async () => {
    const lora = more("base_model.model.lora_A.weight", "F32", [1], 4);
    await write(LLAMA, [...tensorsOf(LLAMA).slice(2), lora]);
    const error = await openModelFolder(folder).catch((e: unknown) => e);
    expect(error).toEqual(refusal("LLM_TENSOR", "2 tensors that its files lack, got no model.embed_tokens"));
    expect(error).toMatchObject({ fix: expect.stringContaining("merge_and_unload") as unknown });
  });

  test("leave weights of whole numbers refused", async () => {
    const tensors = tensorsOf(LLAMA);
    tensors[0] = { ...tensors[0]!, dtype: "I32" };
    await write(LLAMA, tensors);
    await expect(openModelFolder(folder)).rejects.toThrow(refusal("LLM_TENSOR", "got int32"));
  });
});

describe("the head", () => {
  const embedding = tensorsOf(LLAMA)[0]!;
  const untied = { ...LLAMA, tie_word_embeddings: false };

  test("that is a copy of the embedding is one with it", async () => {
    await write(LLAMA, [...tensorsOf(LLAMA), { ...embedding, name: "lm_head.weight" }]);
    const files = await openModelFolder(folder);
    expect([files.config.tieWordEmbeddings, files.notices]).toEqual([true, []]);
    await files.close();
  });

  test("that differs from the embedding is used, with a notice, as transformers does", async () => {
    await write(LLAMA, [...tensorsOf(LLAMA), rawFloats("lm_head.weight", [10, 8], (i) => -i)]);
    const { notices, first } = await opened("lm_head.weight");
    expect(first[1]).toBe(-1);
    expect(notices).toEqual([expect.stringContaining("tie_word_embeddings")]);
  });

  test("is the embedding where the file has the head alone", async () => {
    const [first, ...rest] = tensorsOf(LLAMA);
    await write(LLAMA, [{ ...first!, name: "lm_head.weight" }, ...rest]);
    expect((await opened("model.embed_tokens.weight")).first[0]).toBe(0);
  });

  test("that is missing is named, with the key that may be wrong", async () => {
    await write(untied, tensorsOf(LLAMA));
    const error = await openModelFolder(folder).catch((e: unknown) => e);
    expect(error).toEqual(refusal("LLM_TENSOR", "got no lm_head.weight"));
    expect(error).toMatchObject({ fix: expect.stringContaining("tie_word_embeddings") as unknown });
  });

  test("of another number of tokens than config.json says is refused", async () => {
    await write({ ...LLAMA, vocab_size: 12 }, tensorsOf(LLAMA));
    await expect(openModelFolder(folder)).rejects.toThrow(
      refusal("LLM_TENSOR", "model.embed_tokens.weight must be [12, 8], got [10, 8]"),
    );
  });
});

test("float64 weights are read", async () => {
  const [first, ...rest] = tensorsOf(LLAMA);
  const values = Float64Array.from({ length: 80 }, (_, i) => i / 3);
  await write(LLAMA, [{ ...first!, dtype: "F64", bytes: new Uint8Array(values.buffer) }, ...rest]);
  expect((await opened(first!.name)).first).toEqual([0, Math.fround(1 / 3)]);
});

describe("an index of files", () => {
  const index = (weight_map: object) =>
    writeFile(join(folder, "model.safetensors.index.json"), JSON.stringify({ weight_map }));

  test.each(["../model.safetensors", "/etc/hostname", "..", ".", "", "a/b.safetensors", "a\\b.safetensors"])(
    "that names %j is refused: weights lie in the folder",
    async (file) => {
      await writeFile(join(folder, "config.json"), JSON.stringify(LLAMA));
      await index({ "model.norm.weight": file });
      await expect(openModelFolder(folder)).rejects.toThrow(
        refusal("LLM_MODEL_DAMAGED", "in the folder itself"),
      );
    },
  );

  test("says which of two tensors of a name is the model's", async () => {
    const tensors = tensorsOf(LLAMA);
    await writeFile(join(folder, "config.json"), JSON.stringify(LLAMA));
    await writeFile(join(folder, "a.safetensors"), rawSafetensors(tensors));
    const other = rawFloats(tensors[0]!.name, [10, 8], () => 77);
    await writeFile(join(folder, "b.safetensors"), rawSafetensors([other]));
    await index({
      ...Object.fromEntries(tensors.map(({ name }) => [name, "a.safetensors"])),
      [other.name]: "b.safetensors",
    });
    expect((await opened(other.name)).first).toEqual([77, 77]);
  });

  test("that names another file than the one with a tensor is refused by the names of both", async () => {
    const tensors = tensorsOf(LLAMA);
    await writeFile(join(folder, "config.json"), JSON.stringify(LLAMA));
    await writeFile(join(folder, "a.safetensors"), rawSafetensors(tensors.slice(0, 1)));
    await writeFile(join(folder, "b.safetensors"), rawSafetensors(tensors.slice(1)));
    const inB = Object.fromEntries(tensors.map(({ name }) => [name, "b.safetensors"]));
    await index({ ...inB, [tensors[1]!.name]: "a.safetensors" });
    await expect(openModelFolder(folder)).rejects.toThrow(
      refusal("LLM_TENSOR", `got ${tensors[0]!.name} in a.safetensors`),
    );
  });
});

describe("what is no model", () => {
  test.each([
    ["an empty folder", [], "got an empty folder", ""],
    ["an adapter", ["adapter_config.json", "adapter_model.safetensors"], "an adapter", "merge_and_unload"],
    ["a folder of GGUF files", ["model.Q4_K.gguf"], "a GGUF file", "safetensors"],
    [
      "weights as Meta publishes them",
      ["consolidated.00.pth", "params.json"],
      "params.json",
      "convert_llama_weights",
    ],
    ["the folder of a run", ["model", "run.json"], "run.json", "model"],
    ["the folder of a training run", ["checkpoint-20", "checkpoint-5"], "checkpoint-20", "checkpoint-5"],
  ])("%s is named, with a fix", async (_, names, message, fix) => {
    for (const name of names) await writeFile(join(folder, name), "x");
    const error = await openModel(folder).catch((e: unknown) => e);
    expect(error).toMatchObject({
      code: expect.stringMatching(/^LLM_(FILE_MISSING|UNSUPPORTED)$/) as unknown,
      message: expect.stringContaining(message) as unknown,
      fix: expect.stringContaining(fix) as unknown,
    });
    await expect(readModelShape(folder)).rejects.toMatchObject({ message: (error as Error).message });
  });

  test("an adapter beside the weights is refused rather than left out", async () => {
    await write(LLAMA, tensorsOf(LLAMA));
    await writeFile(join(folder, "adapter_config.json"), "{}");
    await expect(openModelFolder(folder)).rejects.toThrow(refusal("LLM_UNSUPPORTED", "adapter"));
  });

  test("a folder of the hub's cache leads to its snapshot", async () => {
    await mkdir(join(folder, "snapshots", "abc"), { recursive: true });
    await expect(openModel(folder)).rejects.toMatchObject({
      fix: expect.stringContaining(join("snapshots", "abc")) as unknown,
    });
  });

  test.each([
    ["model.gguf", "GGUF\x03\0\0\0", "a GGUF file"],
    ["model.bin", "GGUF\x03\0\0\0", "a GGUF file"],
    ["model.bin", "PK\x03\x04\x14\0\0\0", "pickled by PyTorch"],
    ["model.pt", "\x80\x02\x8a\x0a", "pickled by PyTorch"],
    ["model.onnx", "\x08\x07\x12\x07", "an ONNX file"],
    ["model.bin", "\x1f\x8b\x08", "a compressed file"],
    ["model.bin", "<!DOCTYPE html><html>", "a web page"],
    ["model.h5", "\x89HDF\r\n\x1a\n", "HDF5"],
    ["model.bin", '\x40\0\0\0\0\0\0\0{"a":{}}', "a safetensors file"],
    ["model.bin", "version https://git-lfs.github.com/spec/v1\noid", "Git LFS"],
    ["model.safetensors", "\x02\0\0\0\0\0\0\0{}", "got model.safetensors"],
    ["model.bin", "", "an empty file"],
  ])("%s that begins with %j is named", async (name, bytes, message) => {
    const path = join(folder, name);
    await writeFile(path, Buffer.from(bytes, "latin1"));
    await expect(openModel(path)).rejects.toMatchObject({
      code: expect.stringMatching(/^LLM_/) as unknown,
      message: expect.stringContaining(message) as unknown,
    });
  });

  test("a llama2.c file of 640 elements a state is not taken for a pickle", async () => {
    const path = join(folder, "wide.bin");
    const bytes = Buffer.alloc(64);
    for (const [i, word] of [640, 8, 1, 2, 2, 8, 8].entries()) bytes.writeInt32LE(word, 4 * i);
    await writeFile(path, bytes);
    await expect(openModel(path)).rejects.toThrow(refusal("LLM_MODEL_DAMAGED", "got 64"));
  });

  test.each([
    ["TinyLlama/TinyLlama-1.1B-Chat-v1.0", "download TinyLlama/TinyLlama-1.1B-Chat-v1.0 --local-dir"],
    ["https://huggingface.co/openai-community/gpt2", "download openai-community/gpt2 --local-dir gpt2"],
    ["gpt2", "download gpt2 "],
  ])("%s, a name on the hub, is told as one", async (name, fix) => {
    await expect(openModel(name)).rejects.toMatchObject({
      code: "FILE_MISSING",
      message: expect.stringContaining("Hugging Face hub") as unknown,
      fix: expect.stringContaining(fix) as unknown,
    });
  });

  test.each(["models/llama/7b", "./models/llama", "stories/model.bin", "none"])(
    "%s, a path, is not",
    async (path) => {
      await expect(openModel(path)).rejects.toMatchObject({
        code: "FILE_MISSING",
        message: expect.stringContaining("no such file") as unknown,
      });
    },
  );
});
