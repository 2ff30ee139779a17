/** @file Continuous batching over a runner without a model: who sits where and when, and that it changes no text. */
import { describe, expect, test } from "vitest";
import { generateTokens } from "../../../../src/llm/generate/generate.ts";
import { type BatchRequest, type BatchResult, runBatch } from "../../../../src/llm/generate/runBatch.ts";
import { Sampler } from "../../../../src/llm/generate/sampler.ts";
import { full } from "../../../../src/llm/kv/policies/full.ts";
import { collect, FakeRunner, mixedLogits } from "../../../support/llm/fakeRunner.ts";

const VOCABULARY = 12;
const open = (maxSequences: number) =>
  new FakeRunner(mixedLogits(VOCABULARY), { vocabulary: VOCABULARY, maxSequences });
const request = (prompt: number[], maxNewTokens: number, rest: Partial<BatchRequest> = {}): BatchRequest => ({
  prompt,
  text: { policies: full, maxNewTokens },
  eosTokenIds: [0],
  ...rest,
});

/** Ragged prompts, of all ways to choose tokens. */
const REQUESTS = [
  request([1, 2, 3], 6),
  request([4], 20, { eosTokenIds: [] }),
  request([5, 6, 7, 8, 9], 3, { sampler: { temperature: 1.5, seed: 3 } }),
  request([2, 2], 9, { beams: 3 }),
  request([10, 11], 1),
  request([3, 1, 4, 1, 5], 12, { sampler: { temperature: 2, topK: 5, seed: 4 }, eosTokenIds: [] }),
  request([7], 8, { beams: 2, eosTokenIds: [] }),
];

const all = (runner: FakeRunner, requests: BatchRequest[]): Promise<BatchResult[]> =>
  collect(runBatch(runner, requests));
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
      lengths.map((n, i) => request([i + 1], n, { eosTokenIds: [] })),
    );
    expect(results.map(({ index }) => index)).toEqual([0, 2, 3, 1]);
    expect(results.map(({ tokens }) => tokens.length)).toEqual([2, 2, 1, 5]);
    expect(runner.passes).toEqual([
      "read 0 1",
      "step 0 1",
      "read 0",
      "step 1 0",
      "read 0",
      "step 1",
      "step 1",
    ]);
    expect(runner.texts).toEqual([null, null]);
  });

  test("long prompts are read one after the other, and shorter ones together", async () => {
    const runner = open(4);
    const long = Array.from({ length: 5000 }, (_, i) => i % VOCABULARY);
    await all(runner, [request(long, 1), request(long, 1), request([1], 1), request([2], 1)]);
    expect(runner.passes).toEqual(["read 0", "read 0 1 2"]);
  });

  test("counts prompts and decoded tokens", async () => {
    const batch = runBatch(open(2), [
      request([1, 2], 4, { eosTokenIds: [] }),
      request([3], 2, { eosTokenIds: [] }),
    ]);
    let next = await batch.next();
    while (!next.done) next = await batch.next();
    expect(next.value).toMatchObject({ promptTokens: 3, decodeTokens: 4 });
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
    const requests = [request([1], 50, { eosTokenIds: [] }), request([2], 50, { beams: 2, eosTokenIds: [] })];
    const results = await collect(runBatch(runner, [...requests, request([3], 5)], { signal: stop.signal }));
    expect(results.map(({ index, tokens, finishReason }) => [index, tokens.length, finishReason])).toEqual([
      [0, 4, "abort"],
      [1, 4, "abort"],
    ]);
    expect(runner.texts).toEqual([null, null, null]);
  });

  test("frees all sequences when a text fails or nobody wants the rest", async () => {
    const failing = open(2);
    failing.decodeGreedy = () => Promise.reject(new Error("out of memory"));
    await expect(all(failing, [request([1], 5), request([2], 5)])).rejects.toThrow("out of memory");
    expect(failing.texts).toEqual([null, null]);
    const left = open(2);
    for await (const _ of runBatch(left, [request([1], 2, { eosTokenIds: [] }), request([2], 9)])) break;
    expect(left.texts).toEqual([null, null]);
  });
});

describe("one text", () => {
  test("stays in its sequence when it ends, for a further turn", async () => {
    const runner = open(1);
    runner.begin(0, { policies: full, maxNewTokens: 8 });
    const turn = (prompt: number[]) =>
      collect(generateTokens(runner, prompt, new Sampler(), { maxNewTokens: 4, eosTokenIds: [] }));
    const first = await turn([1, 2]);
    const second = await turn([first.at(-1)!, 5, 6]);
    expect(runner.texts[0]).toEqual([1, 2, ...first, 5, 6, ...second.slice(0, -1)]);
  });

  test("frees its sequence when it is left or stopped", async () => {
    const runner = open(1);
    runner.begin(0, { policies: full, maxNewTokens: 8 });
    const options = { maxNewTokens: 8, eosTokenIds: [] };
    for await (const _ of generateTokens(runner, [1], new Sampler(), options)) break;
    expect(runner.texts).toEqual([null]);
    runner.begin(0, { policies: full, maxNewTokens: 8 });
    const stop = new AbortController();
    const text = generateTokens(runner, [1], new Sampler(), { ...options, signal: stop.signal });
    await text.next();
    stop.abort();
    expect(await text.next()).toMatchObject({ done: true, value: { finishReason: "abort" } });
    expect(runner.texts).toEqual([null]);
  });
});
