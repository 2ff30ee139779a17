/** @file The learned byte-pair encoding: its merges, and the same tokens as the library that reads its tokenizer.json. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { bpeTokenizer, encodeText, learnBpe, WordReader } from "../../../../src/llm/tokenizer/learnBpe.ts";
import { openTokenizerJson } from "../../../../src/llm/tokenizer/tokenizerJson.ts";

const CORPUS =
  "the cat sat on the mat and the dog sat on the log; it's a dog's life – naïve 猫 🐈\n\n  two  lines 1234";

test("merges the commonest pair first, and the one with lower tokens of equals", () => {
  const { tokens } = learnBpe("abab abab cdcd cd", 257 + 3);
  // ab four times, cd three times, then twice each " cd" and "abab", of which the first has the lower token.
  expect(tokens.slice(257)).toEqual(["ab", "cd", "Ġcd"]);
});

test("reads the same words whatever the pieces of a text, and cuts those that have no end", () => {
  const wordsOf = (pieces: readonly string[]) => {
    const reader = new WordReader();
    return [...pieces.flatMap((piece) => [...reader.read(piece)]), ...reader.read("", true)];
  };
  const text = fc
    .array(fc.constantFrom("a", "é", "🐈", " ", "\n", "'", "r", "e", "s", "ll", "7", ".", "\0", "\r", "猫"), {
      maxLength: 60,
    })
    .map((parts) => parts.join(""));
  fc.assert(
    fc.property(text, fc.array(fc.nat(8), { maxLength: 40 }), (whole, sizes) => {
      const characters = Array.from(whole);
      const pieces = sizes.map((size) => characters.splice(0, size).join(""));
      const words = wordsOf([...pieces, characters.join("")]);
      expect(words).toEqual(wordsOf([whole]));
      expect(words.join("")).toBe(whole);
    }),
  );
  const long = `${"🐈".repeat(50_000)} ${"a".repeat(200_000)}`;
  const words = wordsOf([long.slice(0, 99_999 + 1), long.slice(99_999 + 1)]);
  expect(words).toEqual(wordsOf([long]));
  expect(words.join("")).toBe(long);
  expect(Math.max(...words.map(({ length }) => length))).toBeLessThanOrEqual(2 ** 16);
  expect(words.every((word) => word.isWellFormed())).toBe(true);
});

test("ends when nothing occurs twice", () => {
  expect(learnBpe("abc", 1000).tokens).toHaveLength(257);
});

test("cuts every text as the library cuts it, and back to the same text", async () => {
  const bpe = learnBpe(CORPUS.repeat(3), 320);
  const folder = await mkdtemp(join(tmpdir(), "pareto-bpe-"));
  try {
    await writeFile(join(folder, "tokenizer.json"), JSON.stringify(bpeTokenizer(bpe)));
    const tokenizer = await openTokenizerJson(folder);
    for (const text of [CORPUS, "The dogs' mats sat 99 times!", "  \n a\tb ", "ŝ 猫🐈 unseen Ωmega", "x"]) {
      const tokens = [...encodeText(bpe, text)];
      expect(tokens).toEqual(tokenizer.encode(text));
      expect(tokenizer.decode(tokens)).toBe(text);
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});
