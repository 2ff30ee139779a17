import { describe, expect, test } from "vitest";
import { TokenizerPattern } from "../../../../src/llm/tokenizer/patterns/tokenizerPattern.ts";

const regex = (pattern: string) => TokenizerPattern.regex(pattern, "tokenizer.json");
const refused = (code: string, ...texts: string[]) =>
  expect.objectContaining({
    code,
    message: expect.stringContaining(texts[0] ?? "") as unknown,
  }) as Error;

describe("a pattern that backtracks without end", () => {
  test.each([
    ["(a+)+$", `${"a".repeat(40)}b`],
    ["(a|aa)*$", `${"a".repeat(60)}b`],
    ["(?:a*)*b", "a".repeat(40)],
    ["a*a*a*a*a*a*b", "a".repeat(250)],
    [" *[ ]* $", `${" ".repeat(30_000)}x`],
  ])("%s is stopped and named", (pattern, text) => {
    const started = performance.now();
    expect(() => regex(pattern).matches(text)).toThrow(refused("LLM_PATTERN_TIME", pattern));
    expect(performance.now() - started).toBeLessThan(5000);
  });

  test("does not stop the others", () => {
    expect(regex("(a+)+b").matches(`${"a".repeat(40)}b`)).toEqual([[0, 41]]);
    const text = "word and 12345 signs !? ".repeat(5000);
    expect(regex(" ?\\p{L}+| ?\\p{N}{1,3}|[^\\s\\p{L}\\p{N}]+|\\s+").matches(text).length).toBeGreaterThan(
      30_000,
    );
  });
});

describe("what JavaScript cannot match is refused by its part", () => {
  test.each([
    ["(a)\\1", "\\\\1"],
    ["(?<n>a)\\k<n>", "\\\\k"],
    ["(?~ab)", "(?~"],
    ["(?x) a b", "(?x"],
    ["\\Ga", "\\\\G"],
    ["\\X", "\\\\X"],
    ["\\R", "\\\\R"],
    ["a\\Kb", "\\\\K"],
    ["\\p{Nonsense}", "Nonsense"],
    ["[[:nonsense:]]", "nonsense"],
    ["a{3}?", "{3}?"],
    ["(?i)straße", "(?i)"],
    ["(?i:fluss)", "(?i)"],
    ["(a", "(a"],
    ["a)", ")"],
    ["[a", "["],
    ["*a", "*"],
    ["(?(1)a|b)", "(?("],
  ])("%s", (pattern, part) => {
    expect(() => regex(pattern)).toThrow(refused("LLM_UNSUPPORTED", part));
  });
});
