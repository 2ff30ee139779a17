import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openLlama2c } from "../../../../src/llm/load/llama2c.ts";
import { readModelShape } from "../../../../src/llm/load/modelConfig.ts";
import { openModel } from "../../../../src/llm/load/openModel.ts";
import { openLlama2cTokenizer } from "../../../../src/llm/tokenizer/llama2cTokenizer.ts";
import { modelBytes, tokenizerBytes, tokenOf, writeTinyLlama2c } from "../../../support/llm/tinyLlama2c.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pareto-llama2c-"));
});
afterAll(() => rm(folder, { recursive: true }));

const code = (name: string): unknown => expect.objectContaining({ code: name });

describe("llama2.c's model file", () => {
  test("has its tensors, layer by layer, where the layout says", async () => {
    const path = await writeTinyLlama2c(folder);
    const bytes = modelBytes();
    const all = new Float32Array(bytes.buffer.slice(bytes.byteOffset + 28, bytes.byteOffset + bytes.length));
    const { files } = await openModel(path);
    const { vocabSize, hiddenSize, layers } = files.config;
    expect(files.config).toMatchObject({
      hiddenSize: 16,
      layers: 2,
      heads: 4,
      kvHeads: 2,
      headDim: 4,
      tieWordEmbeddings: true,
    });
    expect(await files.read("model.embed_tokens.weight")).toEqual(all.slice(0, vocabSize * hiddenSize));
    // Norms of all layers lie behind the embedding, then the queries' matrices of all layers.
    const queries = vocabSize * hiddenSize + layers * hiddenSize;
    expect(await files.read("model.layers.1.self_attn.q_proj.weight")).toEqual(
      all.slice(queries + hiddenSize * hiddenSize, queries + 2 * hiddenSize * hiddenSize),
    );
    // The angles' table is skipped.
    const angles = files.config.maxPositions * files.config.headDim;
    expect(await files.read("model.norm.weight")).toEqual(all.slice(-angles - hiddenSize, -angles));
    await files.close();
  });

  test("has a head of its own when its number of tokens is negative", async () => {
    const path = join(folder, "untied.bin");
    const bytes = modelBytes(false);
    await writeFile(path, bytes);
    const files = await openLlama2c(path);
    const head = await files.read("lm_head.weight");
    expect(files.config.tieWordEmbeddings).toBe(false);
    expect(head.at(-1)).toBe(bytes.readFloatLE(bytes.length - 4));
    await files.close();
  });

  test("that is cut off, or no such file, is refused", async () => {
    const path = join(folder, "bad.bin");
    await writeFile(path, modelBytes().subarray(0, -4));
    await expect(openLlama2c(path)).rejects.toThrow(code("LLM_MODEL_DAMAGED"));
    await writeFile(path, Buffer.alloc(100));
    await expect(openLlama2c(path)).rejects.toThrow(code("LLM_MODEL_DAMAGED"));
    await writeFile(path, "short");
    await expect(openLlama2c(path)).rejects.toThrow(code("LLM_MODEL_DAMAGED"));
    await expect(openModel(join(folder, "none.bin"))).rejects.toThrow(code("FILE_MISSING"));
  });
});

/** A file of version 1: the head of 256 bytes, and so many floats that count up. */
function versionOne(isShared: boolean, floats: number): Buffer {
  const [width, inner, layers, heads, kvHeads, vocabulary, length] = [8, 12, 2, 2, 1, 10, 16];
  const head = Buffer.alloc(256);
  for (const [i, word] of [0x616b3432, 1, width, inner, layers, heads, kvHeads, vocabulary, length].entries())
    head.writeInt32LE(word, 4 * i);
  head[36] = Number(isShared);
  const values = Float32Array.from({ length: floats }, (_, i) => i);
  return Buffer.concat([head, Buffer.from(values.buffer)]);
}

describe("versions of llama2.c's format", () => {
  const layer = 8 * 8 + 2 * 4 * 8 + 8 * 8 + 3 * 12 * 8;
  const shared = 2 * 16 + 8 + 80 + 2 * layer;

  test("1 has its norms first, and a byte that says whether the head is the embedding", async () => {
    const path = join(folder, "one.bin");
    await writeFile(path, versionOne(true, shared));
    const files = await openLlama2c(path);
    const first = async (name: string) => (await files.read(name))[0];
    expect(files.config).toMatchObject({ layers: 2, kvHeads: 1, tieWordEmbeddings: true });
    expect(await first("model.layers.1.input_layernorm.weight")).toBe(8);
    expect(await first("model.layers.0.post_attention_layernorm.weight")).toBe(16);
    expect(await first("model.norm.weight")).toBe(32);
    expect(await first("model.embed_tokens.weight")).toBe(40);
    expect(await first("model.layers.1.self_attn.q_proj.weight")).toBe(120 + 64);
    // w1, w2 and w3 are the gate, the way down and the way up.
    const mlp = 120 + 2 * (64 + 32 + 32 + 64);
    expect(await first("model.layers.0.mlp.gate_proj.weight")).toBe(mlp);
    expect(await first("model.layers.0.mlp.down_proj.weight")).toBe(mlp + 2 * 96);
    expect(await first("model.layers.1.mlp.up_proj.weight")).toBe(mlp + 5 * 96);
    await files.close();
    await writeFile(path, versionOne(false, shared + 80));
    const own = await openLlama2c(path);
    expect((await own.read("lm_head.weight"))[0]).toBe(shared);
    await own.close();
  });

  test("2 and later ones are named, with a fix", async () => {
    const path = join(folder, "two.bin");
    const bytes = versionOne(true, shared);
    for (const version of [2, 3]) {
      bytes.writeInt32LE(version, 4);
      await writeFile(path, bytes);
      await expect(openLlama2c(path)).rejects.toMatchObject({
        code: "LLM_UNSUPPORTED",
        message: expect.stringContaining(`got ${version}`) as unknown,
        fix: expect.stringContaining("--version 0") as unknown,
      });
    }
  });

  test("claim no more than the file holds: a head is compared with it before anything is made", async () => {
    const path = join(folder, "claims.bin");
    const bytes = Buffer.alloc(128);
    for (const [i, word] of [8, 8, 2 ** 24, 2, 1, 8, 8].entries()) bytes.writeInt32LE(word, 4 * i);
    await writeFile(path, bytes);
    const begun = performance.now();
    const refused = { code: "LLM_MODEL_DAMAGED", message: expect.stringContaining("got 128") as unknown };
    await expect(openLlama2c(path)).rejects.toMatchObject(refused);
    await expect(readModelShape(path)).rejects.toMatchObject(refused);
    expect(performance.now() - begun).toBeLessThan(1000);
    for (const sizes of [
      [2 ** 24, 2 ** 24, 2 ** 24, 2 ** 20, 1, 2 ** 24, 2 ** 24],
      [-8, 8, 2, 2, 1, 8, 8],
      [8, 8, 2, 0, 0, 8, 8],
      [8, 8, 2, 2, 1, -(2 ** 31), 8],
      [8, 8, 2, 3, 1, 8, 8],
    ]) {
      for (const [i, word] of sizes.entries()) bytes.writeInt32LE(word, 4 * i);
      await writeFile(path, bytes);
      await expect(openLlama2c(path)).rejects.toThrow(code("LLM_MODEL_DAMAGED"));
    }
  });
});

describe("llama2.c's tokenizer", () => {
  const open = async () => {
    const path = join(folder, "tok.bin");
    await writeFile(path, tokenizerBytes());
    return openLlama2cTokenizer(path, 268);
  };

  test("joins the pair of the best score first, behind a space at the start", async () => {
    const tokenizer = await open();
    expect(tokenizer.encode("abc")).toEqual([1, tokenOf(" ab"), tokenOf("c")]);
    expect(tokenizer.encode("bca")).toEqual([1, tokenOf(" "), tokenOf("bc"), tokenOf("a")]);
    expect(tokenizer.encode("")).toEqual([1]);
  });

  test("spells characters that are no token as bytes", async () => {
    const tokenizer = await open();
    expect(tokenizer.encode("é")).toEqual([1, tokenOf(" "), tokenOf("é")]);
    expect(tokenizer.encode("ü")).toEqual([1, tokenOf(" "), 3 + 0xc3, 3 + 0xbc]);
    expect(tokenizer.decode([1, tokenOf(" a"), 3 + 0xc3, 3 + 0xbc])).toBe("aü");
  });

  test.each(["abc bc", "aé ü", "  a", "x\ny"])("gives %j back", async (text) => {
    const tokenizer = await open();
    expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
  });

  test("of another size than the model's is refused", async () => {
    const path = join(folder, "tok.bin");
    await writeFile(path, tokenizerBytes());
    await expect(openLlama2cTokenizer(path, 300)).rejects.toThrow(code("LLM_MODEL_DAMAGED"));
    await expect(openLlama2cTokenizer(path, 200)).rejects.toThrow(code("LLM_MODEL_DAMAGED"));
  });
});
