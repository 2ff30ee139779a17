/** @file `tokenizer.json` read in TypeScript against Hugging Face's own tokenizers, for the kinds that models have. */
import { cp, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { TokenStream } from "../../../src/llm/tokenizer/tokenizer.ts";
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
