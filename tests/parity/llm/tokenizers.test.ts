/** @file `tokenizer.json` read in TypeScript against Hugging Face's own tokenizers, for the kinds that models have. */
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type Tokenizer, TokenStream } from "../../../src/llm/tokenizer/tokenizer.ts";
import { openTokenizerJson } from "../../../src/llm/tokenizer/tokenizerJson.ts";

const golden = join(import.meta.dirname, "../../../golden/llm/tokenizers");

interface Case {
  text: string;
  tokens: number[];
  decoded: string;
}

const cases = JSON.parse(await readFile(join(golden, "cases.json"), "utf8")) as Record<string, Case[]>;

async function open(name: string) {
  const folder = await mkdtemp(join(tmpdir(), "pareto-tokenizer-"));
  await cp(join(golden, `${name}.json`), join(folder, "tokenizer.json"));
  try {
    return await openTokenizerJson(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function ofJson(json: object) {
  const folder = await mkdtemp(join(tmpdir(), "pareto-tokenizer-"));
  try {
    await writeFile(join(folder, "tokenizer.json"), JSON.stringify(json));
    return await openTokenizerJson(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

describe.each(Object.keys(cases))("%s", (name) => {
  test.each(cases[name]!)("gives the same tokens and text for $text", async ({ text, tokens, decoded }) => {
    const tokenizer = await open(name);
    expect(tokenizer.encode(text)).toEqual(tokens);
    expect(tokenizer.decode(tokens)).toBe(decoded);
  });

  test("streams the text that it decodes at once, whole characters at a time", async () => {
    const tokenizer = await open(name);
    for (const { tokens, decoded } of cases[name]!) {
      const stream = new TokenStream(tokenizer);
      const pieces = tokens.map((token) => stream.push(token));
      for (const piece of pieces) expect(piece).not.toContain("\uFFFD");
      expect(pieces.join("") + stream.end()).toBe(decoded);
    }
  });
});

describe("a stream", () => {
  test("keeps the space of a word that follows a special token", async () => {
    const tokenizer = await open("llama2");
    const [dog, cat] = [tokenizer.encode("the dog"), tokenizer.encode("the cat")];
    const end = 2;
    const stream = new TokenStream(tokenizer, [...dog, end]);
    const text = cat.slice(1).map((token) => stream.push(token));
    expect(text.join("") + stream.end()).toBe(" the cat");
  });

  test("gives characters of several bytes one after the other, each when it is whole", async () => {
    const tokenizer = await open("llama2");
    const text = "猫🐈\uFEFFé猫";
    const tokens = [...Buffer.from(text)].map((byte) => byte + 3);
    expect(tokenizer.decode(tokens)).toBe(text);
    const stream = new TokenStream(tokenizer, tokenizer.encode("ab猫"));
    const pieces = tokens.map((token) => stream.push(token)).filter((piece) => piece !== "");
    expect(pieces).toEqual([...text]);
    expect(stream.end()).toBe("");
  });
});

describe("a tokenizer", () => {
  test("gives the unknown token for a word that it lacks, and says nothing for a token that it lacks", async () => {
    const tokenizer = await ofJson({
      added_tokens: [],
      normalizer: null,
      pre_tokenizer: { type: "WhitespaceSplit" },
      post_processor: null,
      decoder: null,
      model: { type: "WordLevel", vocab: { "[UNK]": 0, cat: 1, dog: 2 }, unk_token: "[UNK]" },
    });
    expect(tokenizer.encode("cat mouse dog")).toEqual([1, 0, 2]);
    expect(tokenizer.decode([1, 3, 99, 2])).toBe("cat dog");
  });

  test("takes for spaces and numbers what Hugging Face's tokenizers take for them", async () => {
    const vocab = Object.fromEntries(
      // Letters of bytes: "Ġ" is a space; the marks' bytes are their letters.
      ["a", "b", "Ġ", "'", "s", "'s", "ĠĠ", "Â", "ħ", "ï", "»", "¿", "â", "ĳ", "ł", "Ġa"].map((token, id) => [
        token,
        id,
      ]),
    );
    const json = {
      added_tokens: [],
      normalizer: null,
      post_processor: null,
      decoder: { type: "ByteLevel" },
      model: { type: "BPE", vocab, merges: ["' s", "Ġ Ġ", "Ġ a"] },
    };
    const bytes = { type: "ByteLevel", add_prefix_space: false, use_regex: true };
    const text = (tokenizer: Tokenizer, from: string) => {
      const names = Object.keys(vocab);
      return tokenizer.encode(from).map((id) => names[id]);
    };
    const plain = await ofJson({ ...json, pre_tokenizer: bytes });
    // A byte order mark is no space, so that both before it belong together; U+0085 is one.
    expect(text(plain, "a  \uFEFFb")).toEqual(["a", "Ġ", "Ġ", "ï", "»", "¿", "b"]);
    expect(text(plain, "a\u0085's")).toEqual(["a", "Â", "ħ", "'s"]);
    const digits = { type: "Digits", individual_digits: true };
    const split = await ofJson({
      ...json,
      pre_tokenizer: { type: "Sequence", pretokenizers: [digits, bytes] },
    });
    expect(text(split, "  ①a")).toEqual(["ĠĠ", "â", "ĳ", "ł", "a"]);
  });

  test("of a kind that is not known is refused by its name", async () => {
    const json = JSON.parse(await readFile(join(golden, "gpt2.json"), "utf8")) as object;
    await expect(ofJson({ ...json, normalizer: { type: "Spiral" } })).rejects.toMatchObject({
      code: "LLM_UNSUPPORTED",
      message: expect.stringContaining("Spiral") as unknown,
    });
  });

  test("is a file as well as a folder, and its lack is told with what lies there", async () => {
    const tokenizer = await openTokenizerJson(join(golden, "gpt2.json"));
    expect(tokenizer.decode(tokenizer.encode("the cat"))).toBe("the cat");
    const folder = await mkdtemp(join(tmpdir(), "pareto-tokenizer-"));
    await writeFile(join(folder, "tokenizer.model"), "");
    await expect(openTokenizerJson(folder)).rejects.toMatchObject({
      code: "LLM_FILE_MISSING",
      message: expect.stringContaining("got tokenizer.model") as unknown,
    });
    await rm(folder, { recursive: true });
  });
});
