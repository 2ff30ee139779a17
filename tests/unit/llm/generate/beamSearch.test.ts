/** @file Beam search over a runner without a model: which beams go on, where they sit, and what is copied. */
import { describe, expect, test } from "vitest";
import { BeamSearch } from "../../../../src/llm/generate/beamSearch.ts";
import { BeamSequence } from "../../../../src/llm/engine/continuation.ts";
import { LlmEngine } from "../../../../src/llm/engine/llmEngine.ts";
import type { GenerateRequest } from "../../../../src/llm/engine/request.ts";
import { runBatch } from "../../../../src/llm/engine/runBatch.ts";
import { full } from "../../../../src/llm/kv/policies/full.ts";
import { collect, FakeRunner, type LogitsOf, mixedLogits } from "../../../support/llm/fakeRunner.ts";

const log = (...probabilities: number[]) => probabilities.map((p) => Math.log(p));
const text = (maxNewTokens: number) => ({ policies: full, maxNewTokens });

/** Runs a search to its end in a runner of its own. */
async function search(logitsOf: LogitsOf, vocabulary: number, request: GenerateRequest) {
  const runner = new FakeRunner(logitsOf, { vocabulary, maxSequences: request.beams ?? 1 });
  const [result] = await collect(runBatch(new LlmEngine(runner), [request]));
  return { runner, result: result! };
}

/** The score of every text of a length by trying them all. */
function bestOfAll(logitsOf: LogitsOf, prompt: number[], vocabulary: number, length: number) {
  let best = { tokens: [] as number[], sum: Number.NEGATIVE_INFINITY };
  const visit = (tokens: number[], sum: number): void => {
    if (tokens.length === length) {
      if (sum > best.sum) best = { tokens, sum };
      return;
    }
    const logits = logitsOf([...prompt, ...tokens]);
    const norm = Math.log(logits.reduce((total, x) => total + Math.exp(x), 0));
    for (let token = 0; token < vocabulary; token++) visit([...tokens, token], sum + logits[token]! - norm);
  };
  visit([], 0);
  return best;
}

describe("beam search", () => {
  // After the prompt 9: 0 is likelier than 1. Behind 1 all is sure, behind 0 it is not, so the beams swap.
  const swapping: LogitsOf = (tokens) => {
    if (tokens.length === 1) return log(0.6, 0.4, 1e-9, 1e-9);
    if (tokens[1] === 0) return log(0.4, 0.3, 0.2, 0.1);
    return tokens.length === 2 ? log(1e-9, 1e-9, 0.1, 0.9) : log(0.97, 0.01, 0.01, 0.01);
  };

  test("swaps beams without a copy where each has one heir", async () => {
    const runner = new FakeRunner(swapping, { vocabulary: 4, maxSequences: 2 });
    const searched = new BeamSequence(runner, [0, 1], { beams: 2, maxNewTokens: 3, eosTokenIds: [] });
    runner.begin(0, text(3));
    await searched.choose(await runner.prefill([{ sequence: 0, tokens: [9] }]));
    expect(runner.forks).toEqual(["0→1"]);
    expect(searched.next).toEqual([
      { sequence: 0, token: 0 },
      { sequence: 1, token: 1 },
    ]);
    await searched.choose(await runner.decode(searched.next));
    // 1 3 (0.36) goes before 0 0 (0.24): the order is another, the sequences are not.
    expect(searched.next).toEqual([
      { sequence: 1, token: 3 },
      { sequence: 0, token: 0 },
    ]);
    expect(runner.forks).toHaveLength(1);
    await searched.choose(await runner.decode(searched.next));
    expect(searched.next).toEqual([]);
    expect(searched.continued).toMatchObject({ tokens: [1, 3, 0], finishReason: "length" });
    expect(searched.continued.score).toBeCloseTo(Math.log(0.4 * 0.9 * 0.97) / 3, 6);
  });

  test("copies one cache where both beams go on behind the same", async () => {
    const logitsOf: LogitsOf = (tokens) => {
      if (tokens.length === 1) return log(0.5, 0.5, 1e-9, 1e-9);
      return tokens[1] === 1 ? log(1e-9, 1e-9, 0.5, 0.5) : log(0.25, 0.25, 0.25, 0.25);
    };
    const { runner, result } = await search(logitsOf, 4, {
      prompt: [3],
      beams: 2,
      maxNewTokens: 3,
    });
    expect(runner.forks).toEqual(["0→1", "1→0"]);
    expect(result.tokens).toEqual([1, 2, 2]);
  });

  test("finds the best text of all where beams are as many as texts", async () => {
    for (const prompt of [[1], [2, 0], [3, 3, 1]]) {
      const logitsOf = mixedLogits(4);
      const { result } = await search(logitsOf, 4, { prompt, beams: 64, maxNewTokens: 4 });
      const wanted = bestOfAll(logitsOf, prompt, 4, 4);
      expect(result.tokens).toEqual(wanted.tokens);
      expect(result.score).toBeCloseTo(wanted.sum / 4, 5);
    }
  });

  test("each sequence holds the text of its beam at every step", async () => {
    const runner = new FakeRunner(mixedLogits(12), { vocabulary: 12, maxSequences: 4 });
    const searched = new BeamSequence(runner, [3, 1, 0, 2], { beams: 4, maxNewTokens: 30, eosTokenIds: [] });
    runner.begin(3, text(30));
    await searched.choose(await runner.prefill([{ sequence: 3, tokens: [5, 6] }]));
    for (let step = 0; step < 28; step++) {
      expect(new Set(searched.next.map(({ sequence }) => sequence)).size).toBe(4);
      const logits = await runner.decode(searched.next);
      await searched.choose(logits);
      const best = searched.next[0]!;
      expect([...runner.texts[best.sequence]!, best.token]).toEqual([5, 6, ...searched.continued.tokens]);
    }
    // Most beams stay in their sequences.
    expect(runner.forks.length).toBeLessThan(28 * 3);
  });

  test("ranks texts that ended by the mean log-probability of their tokens and the end", async () => {
    // 3 ends. The short text has the larger sum, the long one the larger mean.
    const logitsOf: LogitsOf = (tokens) => {
      if (tokens.length === 1) return log(0.5, 1e-9, 1e-9, 0.5);
      return tokens.length < 4 ? log(0.9, 0.05, 0.05, 1e-9) : log(0.05, 0.03, 0.02, 0.9);
    };
    const { result } = await search(logitsOf, 4, {
      prompt: [2],
      beams: 2,
      maxNewTokens: 9,
      stopTokenIds: [3],
    });
    expect(result).toMatchObject({ tokens: [0, 0, 0], finishReason: "stop" });
    expect(result.score).toBeCloseTo(Math.log(0.5 * 0.9 * 0.9 * 0.9) / 4, 6);
  });

  test("an end token beyond the best N ends nothing, and N texts that ended end the search", () => {
    const beams = new BeamSearch({ beams: 2, maxNewTokens: 9, eosTokenIds: [3] });
    expect(beams.next(Float32Array.from(log(0.5, 0.3, 0.05, 0.15)))).toEqual({
      parents: [0, 0],
      tokens: [0, 1],
    });
    const step = beams.next(Float32Array.from([...log(0.1, 0.1, 0.1, 0.7), ...log(0.3, 0.1, 0.1, 0.5)]));
    // 0 3 (0.35) and 1 3 (0.15) are the best two.
    expect(step).toBeNull();
    expect(beams.best).toMatchObject({ tokens: [0], finishReason: "stop" });
  });

  test("refuses logits that are no numbers", () => {
    const beams = new BeamSearch({ beams: 2, maxNewTokens: 9, eosTokenIds: [] });
    expect(() => beams.next(Float32Array.from([0, Number.NaN, 1]))).toThrow(
      expect.objectContaining({ code: "LLM_LOGITS" }),
    );
  });
});
