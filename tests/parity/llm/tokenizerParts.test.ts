/**
 * @file Every component of a `tokenizer.json`, with its options, against Hugging Face's own tokenizers on 2,048 hard texts
 * each. The golden file holds a hash for every eight texts.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { crc32, gunzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { makeTokenizer } from "../../../src/llm/tokenizer/pipeline.ts";
import { hardTexts, tokenLists } from "../../support/llm/hardTexts.ts";

interface Case {
  name: string;
  tokenizer: { model: unknown; added_tokens: { id: number }[] };
  /** Of the tokens of the texts. */
  hashes?: number[];
  /** Of the texts of lists of tokens. */
  decoded?: number[];
  refused?: boolean;
}

const GROUP = 8;
const file = join(import.meta.dirname, "../../../golden/llm/tokenizers/parts.json.gz");
const cases = JSON.parse(gunzipSync(readFileSync(file)).toString()) as Case[];
const texts = hardTexts();

/** A model whose tokens spell a piece's bytes, and its end. */
const spelled = {
  type: "BPE",
  vocab: Object.fromEntries(
    Array.from({ length: 256 }, (_, byte) => [
      `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`,
      byte,
    ]),
  ),
  merges: [],
  byte_fallback: true,
  end_of_word_suffix: "</w>",
};

function groupHashes(rows: readonly unknown[]): number[] {
  return Array.from({ length: rows.length / GROUP }, (_, i) =>
    crc32(
      rows
        .slice(GROUP * i, GROUP * (i + 1))
        .map((row) => JSON.stringify(row))
        .join("\n"),
    ),
  );
}

test("there are tokenizers for all components", () => {
  expect(cases.length).toBeGreaterThan(180);
  expect(texts).toHaveLength(2048);
});

test.each(cases.filter(({ refused }) => refused !== true))("$name", ({ tokenizer, hashes, decoded }) => {
  const model = tokenizer.model === "spelled" ? spelled : tokenizer.model;
  const { encode, decode } = makeTokenizer({ ...tokenizer, model }, "tokenizer.json");
  const { vocab } = model as { vocab: object };
  if (hashes) expect(groupHashes(texts.map(encode))).toEqual(hashes);
  if (decoded)
    expect(groupHashes(tokenLists(decodedSize(vocab, tokenizer.added_tokens)).map(decode))).toEqual(decoded);
});

test.each(cases.filter(({ refused }) => refused))("$name is refused by name", ({ tokenizer }) => {
  expect(() => makeTokenizer(tokenizer, "tokenizer.json")).toThrow(
    expect.objectContaining({ code: "LLM_UNSUPPORTED" }) as Error,
  );
});

/** Tokens of the model and added ones. */
function decodedSize(vocab: object, added: readonly { id: number }[]): number {
  const ids = Array.isArray(vocab) ? vocab.map((_, id) => id) : (Object.values(vocab) as number[]);
  return new Set([...ids, ...added.map(({ id }) => id)]).size;
}
