import { describe, expect, test } from "vitest";
import type { ParetoError } from "../../../../src/base/errors.ts";
import { makeTokenizer } from "../../../../src/llm/tokenizer/pipeline.ts";

const level = { type: "WordLevel", vocab: { "[UNK]": 0, cat: 1, dog: 2 }, unk_token: "[UNK]" };
const make = (parts: object) => makeTokenizer({ model: level, ...parts }, "tokenizer.json");
const refused = (code: string, text: string) =>
  expect.objectContaining({ code, message: expect.stringContaining(text) as unknown }) as Error;

/** Where an error is, by its place and its message. */
function placeOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    const { where, message } = error as ParetoError;
    return `${where} ${message}`;
  }
  return "";
}

describe("a tokenizer is refused by the part that is wrong", () => {
  test.each([
    ["normalizer", { normalizer: { type: "Spiral" } }, "Spiral"],
    ["pre-tokenizer", { pre_tokenizer: { type: "Sequence", pretokenizers: [{ type: "Nope" }] } }, "Nope"],
    ["post-processor", { post_processor: { type: "Odd" } }, "Odd"],
    ["decoder", { decoder: { type: "toString" } }, "toString"],
    ["model", { model: { type: "Magic" } }, "Magic"],
  ])("%s", (kind, parts, name) => {
    expect(() => make(parts)).toThrow(refused("LLM_UNSUPPORTED", name));
    expect(() => make(parts)).toThrow(refused("LLM_UNSUPPORTED", kind));
  });

  test.each([
    ["a version", { version: "2.0" }, "version"],
    ["an option", { normalizer: { type: "Strip", strip_left: 1, strip_right: true } }, "strip_left"],
    ["an option's lack", { pre_tokenizer: { type: "Digits" } }, "individual_digits"],
    ["a negative id", { model: { ...level, vocab: { a: -1 } } }, "vocab"],
    ["an id beyond all", { model: { ...level, vocab: { a: 2 ** 40 } } }, "vocab"],
    ["an id of two tokens", { model: { ...level, vocab: { a: 1, b: 1 } } }, "model"],
    ["a merge of no tokens", { model: { type: "BPE", vocab: { a: 0 }, merges: ["a b"] } }, "model"],
    ["a merge of three", { model: { type: "BPE", vocab: { a: 0 }, merges: ["a b c"] } }, "model"],
    [
      "an unknown token that is none",
      { model: { type: "BPE", vocab: {}, merges: [], unk_token: "x" } },
      "model",
    ],
    ["unk_id", { model: { type: "Unigram", vocab: [["a", 0]], unk_id: 1 } }, "model"],
    ["a score", { model: { type: "Unigram", vocab: [["a", "0"]], unk_id: 0 } }, "vocab"],
    ["a map", { normalizer: { type: "Precompiled", precompiled_charsmap: "////fw==" } }, "normalizer"],
    [
      "a template",
      {
        post_processor: {
          type: "TemplateProcessing",
          single: [{ SpecialToken: { id: "x", type_id: 0 } }],
          pair: [],
          special_tokens: {},
        },
      },
      "post_processor",
    ],
  ])("%s", (_name, parts, place) => {
    const error = expect.objectContaining({ code: "LLM_MODEL_DAMAGED" }) as Error;
    expect(() => make(parts)).toThrow(error);
    expect(placeOf(() => make(parts))).toContain(place);
  });

  test("sequences in sequences", () => {
    let part: object = { type: "Lowercase" };
    for (let i = 0; i < 1000; i++) part = { type: "Sequence", normalizers: [part] };
    expect(() => make({ normalizer: part })).toThrow(refused("LLM_MODEL_DAMAGED", "deep"));
  });
});

test("a sequence that makes texts longer without end is stopped", () => {
  const bytes = { type: "ByteLevel", add_prefix_space: false, use_regex: true };
  const pretokenizers = Array.from({ length: 60 }, () => bytes);
  const tokenizer = make({ pre_tokenizer: { type: "Sequence", pretokenizers } });
  expect(() => tokenizer.encode("猫")).toThrow(refused("LLM_UNSUPPORTED", "longer"));
  const double = { type: "Replace", pattern: { String: "a" }, content: "aa" };
  const normalizers = Array.from({ length: 60 }, () => double);
  const replaced = make({ normalizer: { type: "Sequence", normalizers } });
  expect(() => replaced.encode("a")).toThrow(refused("LLM_UNSUPPORTED", "longer"));
});

test("text that no token covers is an error where there is no unknown token", () => {
  const model = { type: "WordLevel", vocab: { a: 0 }, unk_token: "?" };
  expect(() => make({ model }).encode("b")).toThrow(refused("LLM_TEXT_UNKNOWN", "b"));
  const unigram = { type: "Unigram", vocab: [["a", 0]], unk_id: null };
  expect(() => make({ model: unigram }).encode("ab")).toThrow(refused("LLM_TEXT_UNKNOWN", "b"));
});

test("halves of surrogate pairs are U+FFFD", () => {
  const model = { type: "WordLevel", vocab: { "\uFFFD": 1, "?": 0 }, unk_token: "?" };
  expect(make({ model }).encode("\ud83d")).toEqual([1]);
});

describe("100,000 characters without a space take less than 2 seconds", () => {
  const letters = "abcdefgh".split("");
  const vocab = Object.fromEntries(
    ["?", ...letters, ...letters.map((a) => a + a), ...letters.map((a) => a.repeat(4)), "x".repeat(50)].map(
      (token, id) => [token, id],
    ),
  );
  const merges = [...letters.map((a) => `${a} ${a}`), ...letters.map((a) => `${a}${a} ${a}${a}`)];
  test.each<[string, object]>([
    ["BPE", { type: "BPE", vocab, merges }],
    [
      "Unigram",
      { type: "Unigram", vocab: Object.keys(vocab).map((token) => [token, -token.length]), unk_id: 0 },
    ],
    [
      "WordPiece",
      {
        type: "WordPiece",
        vocab: { ...vocab, ...Object.fromEntries(letters.map((a, i) => [`##${a}`, 100 + i])) },
        unk_token: "?",
        continuing_subword_prefix: "##",
        max_input_chars_per_word: 1e6,
      },
    ],
  ])("%s", (_name, model) => {
    const text = Array.from({ length: 100_000 }, (_, i) => letters[(i * i * 7 + (i >> 3)) % 8]).join("");
    const tokenizer = make({ model });
    const started = performance.now();
    expect(tokenizer.encode(text).length).toBeGreaterThan(20_000);
    expect(performance.now() - started).toBeLessThan(2000);
  });
});
