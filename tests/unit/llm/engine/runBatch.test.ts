/** @file Continuous batching over a runner without a model: which sequence takes what and when, and that it changes no text. */
import { describe, expect, test } from "vitest";
import { LlmEngine } from "../../../../src/llm/engine/llmEngine.ts";
import type { GenerateRequest } from "../../../../src/llm/engine/request.ts";
import { type BatchResult, runBatch } from "../../../../src/llm/engine/runBatch.ts";
import { collect, FakeRunner, mixedLogits } from "../../../support/llm/fakeRunner.ts";

const VOCABULARY = 12;
const open = (maxSequences: number) =>
  new FakeRunner(mixedLogits(VOCABULARY), { vocabulary: VOCABULARY, maxSequences });
const request = (
  prompt: number[],
  maxNewTokens: number,
  rest: Partial<GenerateRequest> = {},
): GenerateRequest => ({ prompt, maxNewTokens, stopTokenIds: [0], ...rest });

/** Ragged prompts, of all ways to choose tokens. */
const REQUESTS = [
  request([1, 2, 3], 6),
  request([4], 20, { stopTokenIds: [] }),
  request([5, 6, 7, 8, 9], 3, { sampling: { temperature: 1.5, seed: 3 } }),
  request([2, 2], 9, { beams: 3 }),
  request([10, 11], 1),
  request([3, 1, 4, 1, 5], 12, { sampling: { temperature: 2, topK: 5, seed: 4 }, stopTokenIds: [] }),
  request([7], 8, { beams: 2, stopTokenIds: [] }),
];

const all = (runner: FakeRunner, requests: GenerateRequest[]): Promise<BatchResult[]> =>
  collect(runBatch(new LlmEngine(runner), requests));
const whatOf = ({ tokens, finishReason, promptTokens, score }: BatchResult) => ({
  tokens,
  finishReason: finishReason,
  promptTokens,
  score,
});

describe("a batch", () => {
  test("gives each text what it comes to alone, whatever the order and the sequences", async () => {
    const alone = [];
    for (const each of REQUESTS) alone.push(whatOf((await all(open(each.beams ?? 1), [each]))[0]!));
    for (const maxSequences of [3, 4, 5, 16]) {
      for (const order of [
        [0, 1, 2, 3, 4, 5, 6],
        [6, 3, 5, 1, 0, 4, 2],
      ]) {
        const results = await all(
          open(maxSequences),
          order.map((at) => REQUESTS[at]!),
        );
        expect(results).toHaveLength(order.length);
        for (const result of results) expect(whatOf(result)).toEqual(alone[order[result.index]!]);
      }
    }
  });

  test("a text that is over leaves its sequence, and the next one enters beside those that go on", async () => {
    const runner = open(2);
    const lengths = [2, 5, 2, 1];
    const results = await all(
      runner,
      lengths.map((n, i) => request([i + 1], n, { stopTokenIds: [] })),
    );
    expect(results.map(({ index }) => index)).toEqual([0, 2, 3, 1]);
    expect(results.map(({ tokens }) => tokens.length)).toEqual([2, 2, 1, 5]);
    expect(runner.passes).toEqual([
      "prefill 0 1",
      "decode 0 1",
      "prefill 0",
      "decode 1 0",
      "prefill 0",
      "decode 1",
      "decode 1",
    ]);
    expect(runner.texts).toEqual([null, null]);
  });

  test("long prompts are read one after the other, and shorter ones together", async () => {
    const runner = open(4);
    const long = Array.from({ length: 5000 }, (_, i) => i % VOCABULARY);
    await all(runner, [request(long, 1), request(long, 1), request([1], 1), request([2], 1)]);
    expect(runner.passes).toEqual(["prefill 0", "prefill 0 1 2"]);
  });

  test("counts prompts and decoded tokens", async () => {
    const engine = new LlmEngine(open(2));
    await collect(
      runBatch(engine, [request([1, 2], 4, { stopTokenIds: [] }), request([3], 2, { stopTokenIds: [] })]),
    );
    expect(engine.stats).toMatchObject({ promptTokens: 3, decodeTokens: 4, running: 0, waiting: 0 });
  });

  test("refuses more beams than sequences", async () => {
    await expect(all(open(2), [request([1], 4, { beams: 3 })])).rejects.toThrow(
      expect.objectContaining({ code: "LLM_SEQUENCE" }),
    );
  });

  test("a signal ends all texts, gives what they have, and frees their sequences", async () => {
    const runner = open(3);
    const stop = new AbortController();
    const step = runner.decode.bind(runner);
    let steps = 0;
    runner.decode = async (tokens) => {
      if (++steps === 3) stop.abort();
      return step(tokens);
    };
    const requests = [
      request([1], 50, { stopTokenIds: [] }),
      request([2], 50, { beams: 2, stopTokenIds: [] }),
    ];
    const results = await collect(
      runBatch(new LlmEngine(runner), [...requests, request([3], 5)], { signal: stop.signal }),
    );
    // Those that end together come in any order.
    results.sort((a, b) => a.index - b.index);
    expect(results.map(({ index, tokens, finishReason }) => [index, tokens.length, finishReason])).toEqual([
      [0, 4, "abort"],
      [1, 4, "abort"],
    ]);
    expect(runner.texts).toEqual([null, null, null]);
  });

  test("frees all sequences when a text fails or nobody wants the rest", async () => {
    const failing = open(2);
    failing.decodeTokens = () => Promise.reject(new Error("out of memory"));
    await expect(all(failing, [request([1], 5), request([2], 5)])).rejects.toThrow("out of memory");
    expect(failing.texts).toEqual([null, null]);
    const left = open(2);
    for await (const _ of runBatch(new LlmEngine(left), [
      request([1], 2, { stopTokenIds: [] }),
      request([2], 9),
    ]))
      break;
    expect(left.texts).toEqual([null, null]);
  });
});
