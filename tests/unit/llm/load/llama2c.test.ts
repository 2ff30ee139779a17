import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openLlama2c } from "../../../../src/llm/load/llama2c.ts";
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
