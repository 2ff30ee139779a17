/** @file What tokens are drawn by, against Hugging Face transformers' logits processors. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Sampler } from "../../../src/llm/generate/sampler.ts";
import { readGenerationConfig } from "../../../src/llm/load/generationConfig.ts";

interface Golden {
  /** `[rows, vocabulary]` */
  logits: number[][];
  /** Tokens of the text so far. */
  text: number[];
  /** Values of generation_config.json; for each row probabilities by token. */
  cases: { config: Record<string, unknown>; kept: Record<string, number>[] }[];
}

const golden = JSON.parse(
  await readFile(join(import.meta.dirname, "../../../golden/llm/sampling.json"), "utf8"),
) as Golden;

describe.each(golden.cases)("generation_config.json $config", ({ config, kept }) => {
  const { isSampled, sampling } = readGenerationConfig(JSON.stringify(config), "generation_config.json", []);
  const sampler = new Sampler(isSampled ? sampling : { ...sampling, temperature: 0 });
  sampler.observe(golden.text);

  test.each(golden.logits.map((logits, row) => [row, logits] as const))("gives row %i", (row, logits) => {
    const probabilities = sampler.probabilities(Float32Array.from(logits));
    const wanted = kept[row]!;
    const tokens = [...probabilities.keys()].filter((token) => probabilities[token]! > 0);
    // Which of equally probable tokens lie within top-p is left to a sort that is not stable: row 0 has no equals.
    if (row === 0) expect(tokens).toEqual(Object.keys(wanted).map(Number));
    const found = tokens.map((token) => probabilities[token]!).sort((a, b) => a - b);
    const sorted = Object.values(wanted).sort((a, b) => a - b);
    expect(found.length).toBe(sorted.length);
    for (const [i, share] of sorted.entries()) expect(Math.abs(found[i]! - share)).toBeLessThan(1e-6);
  });

  test("draws such tokens alone", () => {
    const allowed = new Set(Object.keys(kept[0]!).map(Number));
    for (let i = 0; i < 50; i++)
      expect(allowed).toContain(sampler.next(Float32Array.from(golden.logits[0]!)));
  });
});
