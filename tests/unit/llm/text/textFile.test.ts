/** @file Text files byte for byte: what is read as it is, and what is refused by its place. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readTextFile, textPieces } from "../../../../src/llm/text/textFile.ts";
import { TokenList } from "../../../../src/llm/text/tokenList.ts";
import { textTokens } from "../../../../src/llm/eval/textTokens.ts";
import { textData } from "../../../../src/llm/training/textData.ts";
import { encodeText, learnBpe } from "../../../../src/llm/tokenizer/learnBpe.ts";
import { tinyRecipe } from "../../../support/llm/tinyRecipes.ts";

let folder: string;
let path: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pareto-text-"));
  path = join(folder, "text.txt");
});
afterAll(() => rm(folder, { recursive: true }));

const read = async (bytes: Uint8Array | string) => {
  await writeFile(path, bytes);
  return readTextFile(path);
};
const latin1 = (text: string) => Buffer.from(text, "latin1");
const refusal = (message: string): unknown =>
  expect.objectContaining({
    code: "LLM_TEXT_ENCODING",
    where: path,
    message: expect.stringContaining(message) as unknown,
  });

describe("a text file", () => {
  test.each(["", "plain", "caf\u00e9 \ud83d\udc08", "a\0b", "one\r\ntwo\rthree\n", "x\uFEFFy", "\uFFFD"])(
    "gives %j as it is",
    async (text) => {
      expect(await read(text)).toBe(text);
    },
  );

  test("may begin with one byte order mark, which is no part of it", async () => {
    expect(await read("\uFEFFab")).toBe("ab");
    expect(await read("\uFEFF\uFEFFab")).toBe("\uFEFFab");
    expect(await read("\uFEFF")).toBe("");
  });

  test.each([
    ["a\nb caf\xe9 au lait", "got byte 0xe9 at 7, in line 2"],
    ["\xff", "got byte 0xff at 0, in line 1"],
    ["abc\xef\xbf", "got byte 0xef at 3"],
    ["abc\xf0\x9f\x90", "got byte 0xf0 at 3"],
    ["a\xc0\x80", "got byte 0xc0 at 1"],
    ["a\xed\xa0\x80", "got byte 0xed at 1"],
    ["a\x80", "got byte 0x80 at 1"],
    ["\xef\xbb\xbfa\xe9", "got byte 0xe9 at 4"],
    ["\xff\xfea\0b\0", "UTF-16 (little-endian)"],
    ["\xfe\xff\0a\0b", "UTF-16 (big-endian)"],
    ["a\0b\0c\0d\0\n\0", "UTF-16 (little-endian) without"],
    ["\0a\0b\0c\0d\0\n", "UTF-16 (big-endian) without"],
    ["\xff\xfe\0\0a\0\0\0", "UTF-32"],
    ["\x1f\x8b\x08\0", "a compressed file"],
  ])("of the bytes %j is refused", async (bytes, message) => {
    await expect(read(latin1(bytes))).rejects.toThrow(refusal(message));
  });

  test("is refused at the byte where Node's own decoder puts U+FFFD first", async () => {
    const bytes = fc.uint8Array({ minLength: 1, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: "binary", maxLength: 8 }), bytes, async (start, end) => {
        const whole = Buffer.concat([Buffer.from("ab "), Buffer.from(start), end]);
        const text = whole.toString("utf8");
        const error: unknown = await read(whole).catch((e: unknown) => e);
        if (Buffer.from(text).equals(whole)) expect(error).toBe(text);
        else expect(error).toMatchObject({ code: "LLM_TEXT_ENCODING" });
      }),
      { numRuns: 60 },
    );
  });

  test("is read in pieces of whole characters, and a wrong byte far inside is counted from its start", async () => {
    const text = `${"\u732b".repeat(1_500_000)}\n`;
    await writeFile(path, text);
    const pieces: string[] = [];
    for await (const piece of textPieces(path)) pieces.push(piece);
    expect(pieces.length).toBeGreaterThan(1);
    expect(pieces.join("") === text).toBe(true);
    await writeFile(path, Buffer.concat([Buffer.from(text), latin1("\xe9 ")]));
    await expect(readTextFile(path)).rejects.toThrow(refusal("got byte 0xe9 at 4500001, in line 2"));
  });
});

describe("texts for training", () => {
  const recipe = tinyRecipe("llama", "text", {});
  const line = "the cat sat on the mat, and the dog's log was wet \u2013 na\u00efve \ud83d\udc08\n";

  test("are the tokens of the whole text, of several files too, a byte order mark left out", async () => {
    const [one, other] = [join(folder, "one.txt"), join(folder, "other.txt")];
    await writeFile(one, `\uFEFF${line.repeat(40)}`);
    await writeFile(other, line.repeat(37));
    const data = await textData([one, other], 300, recipe);
    const text = `${line.repeat(40)}\n${line.repeat(37)}`;
    const split = Math.floor(text.length * 0.9);
    const bpe = learnBpe(text.slice(0, split), 300);
    expect(data.vocabulary).toBe(bpe.tokens.length);
    const held = encodeText(bpe, text.slice(split));
    const [group] = data.validation;
    const [tokens, targets] = [new Int32Array(group!.length), new Int32Array(group!.length)];
    group!.fill(0, tokens, targets);
    expect(tokens).toEqual(held.slice(0, group!.length));
    expect(targets).toEqual(held.slice(1, group!.length + 1));
  });

  test.each([
    ["Latin-1", latin1("caf\xe9 ".repeat(400)), "got byte 0xe9 at 3, in line 1"],
    ["UTF-16", Buffer.from(`\uFEFF${line.repeat(40)}`, "utf16le"), "UTF-16"],
  ])("in %s are refused before anything is learned", async (_, bytes, message) => {
    await writeFile(path, bytes);
    await expect(textData([path], 300, recipe)).rejects.toThrow(refusal(message));
  });
});

describe("tokens of a text", () => {
  // Every character a token, between two that frame each text.
  const tokenizer = {
    encode: (text: string) => [1, ...Array.from(text, (c) => c.codePointAt(0)!), 2],
    decode: () => "",
  } as unknown as Parameters<typeof textTokens>[0];

  test.each([
    "",
    "short",
    "line\n".repeat(100),
    "x".repeat(500),
    `${"word ".repeat(90)}\n\n${"y".repeat(99)}`,
  ])("are those of the whole, cut in parts: %j", async (text) => {
    await writeFile(path, text);
    const list = await textTokens(tokenizer, path, { whole: 64, part: 16 });
    expect(Array.from(list.slice(0, list.length))).toEqual(tokenizer.encode(text));
  });
});

test("a list of tokens gives every part of itself, over the ends of its blocks too", () => {
  const list = new TokenList();
  const count = 2 ** 20 + 50;
  for (let i = 0; i < count; i++) list.push(i * 3);
  expect(list.length).toBe(count);
  expect(Array.from(list.slice(2 ** 20 - 2, 2 ** 20 + 2))).toEqual(
    [-2, -1, 0, 1].map((i) => 3 * (2 ** 20 + i)),
  );
});
