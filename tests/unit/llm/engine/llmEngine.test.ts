/** @file The engine over a runner without a model: who joins and leaves when, what is refused, what is freed. */
import { describe, expect, test } from "vitest";
import { LlmEngine } from "../../../../src/llm/engine/llmEngine.ts";
import type { GenerateRequest, TokenEvent } from "../../../../src/llm/engine/request.ts";
import { endOf } from "../../../../src/llm/engine/runBatch.ts";
import { cacheBytes } from "../../../../src/llm/kv/cacheBytes.ts";
import { window } from "../../../../src/llm/kv/policies/window.ts";
import { collect, FakeRunner, mixedLogits } from "../../../support/llm/fakeRunner.ts";

const VOCABULARY = 12;
const open = (maxSequences: number) =>
  new FakeRunner(mixedLogits(VOCABULARY), { vocabulary: VOCABULARY, maxSequences });
const request = (
  prompt: number[],
  maxNewTokens: number,
  rest: Partial<GenerateRequest> = {},
): GenerateRequest => ({ prompt, maxNewTokens, ...rest });
const failure = (work: () => unknown): unknown => {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
};

describe("a request", () => {
  test("gives each token as it is chosen, then its end", async () => {
    const engine = new LlmEngine(open(1));
    const events = await collect(engine.generate(request([1, 2], 3, { id: "a" })));
    const end = events.pop()!;
    expect(events.map(({ event, id }) => [event, id])).toEqual([
      ["token", "a"],
      ["token", "a"],
      ["token", "a"],
    ]);
    const tokens = events.map((event) => (event.event === "token" ? [event.index, event.token] : []));
    expect(end).toMatchObject({
      event: "end",
      id: "a",
      finishReason: "length",
      promptTokens: 2,
      decodeSteps: 2,
      memory: { tokensSeen: 4 },
    });
    expect(tokens).toEqual((end.event === "end" ? end.tokens : []).map((token, index) => [index, token]));
  });

  test("ends at the model's tokens, at its own, or at neither", async () => {
    const runner = open(1);
    const engine = new LlmEngine(runner);
    const { tokens } = await endOf(engine.generate(request([1], 10)));
    const [, , third] = tokens;
    Object.assign(runner.config, { eosTokenIds: [third] });
    const cut = tokens.indexOf(third!);
    const ended = await endOf(engine.generate(request([1], 10)));
    expect(ended).toMatchObject({ finishReason: "stop", tokens: tokens.slice(0, cut) });
    expect(await endOf(engine.generate(request([1], 10, { ignoreEos: true })))).toMatchObject({ tokens });
    const stopTokenIds = [tokens[1]!];
    const stopped = await endOf(engine.generate(request([1], 10, { ignoreEos: true, stopTokenIds })));
    expect(stopped).toMatchObject({
      finishReason: "stop",
      tokens: tokens.slice(0, tokens.indexOf(tokens[1]!)),
    });
  });

  test("decodes forced tokens first, and scores every token where it is asked to", async () => {
    const runner = open(1);
    const engine = new LlmEngine(runner);
    const forced = [3, 0, 7];
    const free = await endOf(engine.generate(request([1, 3, 0, 7], 2, { ignoreEos: true })));
    const scored = await endOf(
      engine.generate(request([1], 5, { forced, hasLogProbabilities: true, stopTokenIds: [3, 7] })),
    );
    expect(scored.tokens).toEqual([...forced, ...free.tokens]);
    const logits = mixedLogits(VOCABULARY);
    const text = [1, ...scored.tokens];
    const wanted = scored.tokens.map((token, i) => {
      const row = logits(text.slice(0, i + 1));
      return row[token]! - Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0));
    });
    expect(scored.logProbabilities).toHaveLength(5);
    for (const [i, each] of scored.logProbabilities!.entries()) expect(each).toBeCloseTo(wanted[i]!, 5);
  });

  test("reports decisions as events under its own id", async () => {
    const runner = open(1);
    const decided: unknown[] = [];
    runner.begin = (_, { onDecision }) => {
      runner.texts[0] = [];
      onDecision!({ kind: "keep", layer: 0, kvHead: 1, step: 0, positions: [2, 3] });
    };
    const engine = new LlmEngine(runner);
    await endOf(
      engine.generate(
        request([1], 1, { id: "a", kv: "h2o:budget=2", onDecision: (event) => decided.push(event) }),
      ),
    );
    expect(decided).toEqual([
      {
        event: "decision",
        policy: "h2o",
        kind: "kv.evict",
        step: 0,
        subject: "a",
        saw: { layer: 0, kvHead: 1 },
        chose: { keep: [2, 3] },
      },
    ]);
  });

  test.each<[string, Partial<GenerateRequest>, string]>([
    ["an empty prompt", { prompt: [] }, "LLM_PROMPT"],
    ["a token that the model lacks", { prompt: [VOCABULARY] }, "LLM_PROMPT"],
    ["more beams than sequences", { beams: 3 }, "LLM_SEQUENCE"],
    ["an unknown policy", { kv: "lru" }, "POLICY_UNKNOWN"],
    ["a policy's option that it lacks", { kv: "full:budget=50%" }, "POLICY_OPTION"],
    ["a budget of nothing", { kv: "h2o:budget=0" }, "KV_BUDGET"],
    ["no new tokens", { maxNewTokens: 0 }, "LLM_OPTION"],
    ["a prompt of text", { prompt: "abc" as unknown as number[] }, "LLM_OPTION"],
    ["half a new token", { maxNewTokens: 2.5 }, "LLM_OPTION"],
    ["new tokens that are no number", { maxNewTokens: Number.NaN }, "LLM_OPTION"],
    ["new tokens without end", { maxNewTokens: Number.POSITIVE_INFINITY }, "LLM_OPTION"],
    ["no beams", { beams: 0 }, "LLM_OPTION"],
    ["a negative temperature", { sampling: { temperature: -1 } }, "LLM_OPTION"],
    ["sampling that beams would ignore", { beams: 2, sampling: { temperature: 1 } }, "LLM_OPTION"],
    ["a negative seed", { noise: { seed: -1 } }, "LLM_OPTION"],
    ["a stop token that is no number", { stopTokenIds: [Number.NaN] }, "LLM_OPTION"],
    ["a forced token that the model lacks", { forced: [VOCABULARY] }, "LLM_OPTION"],
    ["a prompt's token that is no whole number", { prompt: [0.5] }, "LLM_PROMPT"],
  ])("is refused at once for %s", (_, rest, code) => {
    const engine = new LlmEngine(open(2));
    expect(failure(() => engine.generate(request([1], 4, rest)))).toMatchObject({ code });
    expect(engine.stats).toMatchObject({ running: 0, waiting: 0 });
  });
});

test("a penalty of repetition counts the prompt and the new tokens, in every turn of a conversation", async () => {
  const logits = mixedLogits(VOCABULARY);
  const positive = (tokens: readonly number[]) => logits(tokens).map((logit) => logit + 10);
  const engine = () => new LlmEngine(new FakeRunner(positive, { vocabulary: VOCABULARY, maxSequences: 1 }));
  const rest = { sampling: { repetitionPenalty: 1e6 }, ignoreEos: true };
  const all = await endOf(engine().generate({ prompt: [1, 2], maxNewTokens: VOCABULARY - 2, ...rest }));
  expect(new Set([1, 2, ...all.tokens]).size).toBe(VOCABULARY);
  const conversation = engine().converse({ maxNewTokens: 20 });
  const first = await endOf(conversation.generate({ prompt: [1, 2], maxNewTokens: 4, ...rest }));
  const second = await endOf(conversation.generate({ prompt: [1], maxNewTokens: 6, ...rest }));
  expect(new Set([1, 2, ...first.tokens, ...second.tokens]).size).toBe(VOCABULARY);
});

describe("requests", () => {
  test("join at the next token, and leave when they are over", async () => {
    const runner = open(3);
    const engine = new LlmEngine(runner);
    const first = engine.generate(request([1], 6));
    await first.next();
    await first.next();
    const late = endOf(engine.generate(request([2], 2)));
    await Promise.all([collect(first), late]);
    const at = runner.passes.indexOf("prefill 1");
    expect(at).toBeGreaterThan(1);
    expect(runner.passes[0]).toBe("prefill 0");
    expect(runner.passes.slice(at)).toEqual([
      "prefill 1",
      "decode 0 1",
      ...Array.from({ length: runner.passes.length - at - 2 }, () => "decode 0"),
    ]);
    expect(runner.texts).toEqual([null, null, null]);
  });

  test("wait in order for a sequence", async () => {
    const runner = open(2);
    const engine = new LlmEngine(runner);
    const order: string[] = [];
    const follow = async (id: string, rest: Partial<GenerateRequest>) => {
      for await (const event of engine.generate(request([1], 3, { id, ...rest })))
        if (event.event === "token" && event.index === 0) order.push(event.id);
    };
    // b needs both sequences, so c waits behind it although it would fit beside a.
    await Promise.all([follow("a", {}), follow("b", { beams: 2 }), follow("c", {}), follow("d", {})]);
    expect(order).toEqual(["a", "b", "c", "d"]);
  });

  test("that are aborted in the middle free their sequence for the next", async () => {
    const runner = open(1);
    const engine = new LlmEngine(runner);
    const stop = new AbortController();
    const events = engine.generate(request([1], 1000, { signal: stop.signal }));
    const next = endOf(engine.generate(request([2], 2)));
    await events.next();
    await events.next();
    stop.abort();
    const rest = await collect(events);
    expect(rest.at(-1)).toMatchObject({ event: "end", finishReason: "abort" });
    expect(await next).toMatchObject({ finishReason: "length" });
    expect(runner.texts).toEqual([null]);
  });

  test("that are left early, or aborted while they wait, are ended", async () => {
    const runner = open(1);
    const engine = new LlmEngine(runner);
    const stop = new AbortController();
    const running = engine.generate(request([1], 1000));
    const waiting = endOf(engine.generate(request([2], 2, { signal: stop.signal })));
    await running.next();
    stop.abort();
    expect(await waiting).toMatchObject({ finishReason: "abort", tokens: [], memory: null });
    await running.return!();
    await engine.close();
    expect(runner.texts).toEqual([null]);
    expect(failure(() => engine.generate(request([1], 1)))).toMatchObject({ code: "LLM_ENGINE_CLOSED" });
  });

  test("fail alone with the pass that fails, and others go on", async () => {
    const runner = open(2);
    const prefill = runner.prefill.bind(runner);
    runner.prefill = async (texts) => {
      if (texts.some(({ tokens }) => tokens[0] === 7)) throw new Error("out of memory");
      return prefill(texts);
    };
    const engine = new LlmEngine(runner);
    const good = engine.generate(request([1], 5));
    await good.next();
    const bad = collect(engine.generate(request([7], 5)));
    await expect(bad).rejects.toThrow("out of memory");
    expect((await collect<TokenEvent>(good)).at(-1)).toMatchObject({ finishReason: "length" });
    expect(runner.texts).toEqual([null, null]);
    expect(engine.stats).toMatchObject({ running: 0, waiting: 0 });
  });
});

describe("a runner that fails", () => {
  test("to begin a sequence fails that request alone", async () => {
    const runner = open(2);
    const begin = runner.begin.bind(runner);
    runner.begin = (sequence, options) => {
      if (options.seed === 7) throw new Error("no such policy");
      begin(sequence, options);
    };
    const engine = new LlmEngine(runner);
    const good = endOf(engine.generate(request([1], 3)));
    const bad = endOf(engine.generate(request([1], 3, { noise: { seed: 7 } })));
    await expect(bad).rejects.toThrow("no such policy");
    expect(await good).toMatchObject({ finishReason: "length" });
    expect(runner.texts).toEqual([null, null]);
  });

  test("outside a pass fails all requests, and the engine takes no more", async () => {
    const runner = open(1);
    runner.memory = () => {
      throw new Error("the device is gone");
    };
    const engine = new LlmEngine(runner);
    const ends = [request([1], 2), request([2], 2)].map((each) => endOf(engine.generate(each)));
    for (const end of ends) await expect(end).rejects.toThrow("the device is gone");
    expect(failure(() => engine.generate(request([1], 1)))).toMatchObject({ code: "LLM_ENGINE_CLOSED" });
    await engine.close();
  });
});

describe("bytes of caches", () => {
  const shape = { layers: 2, heads: 2, kvHeads: 1, headDim: 4, slidingWindow: () => null };
  const bytesOf = (promptTokens: number, newTokens: number) =>
    cacheBytes({ ...open(1).config, ...shape }, () => window({ budget: { count: 4 } }), {
      contextTokens: promptTokens,
      newTokens,
      batch: 1,
      elementBytes: 4,
      device: "cpu",
    });
  const openShaped = () => {
    const runner = open(4);
    Object.assign(runner.config, shape);
    return runner;
  };
  const kv = "window:budget=4";

  test("let as many in as fit, and the others wait", async () => {
    const { kvBytes, bookkeepingBytes, promptPeakBytes } = bytesOf(6, 5);
    const held = kvBytes + bookkeepingBytes;
    const runner = openShaped();
    // Two fit while one of them is read.
    const engine = new LlmEngine(runner, { maxCacheBytes: held + promptPeakBytes });
    const prompt = [1, 2, 3, 4, 5, 6];
    let most = 0;
    const all = [0, 1, 2].map(() =>
      endOf(
        (async function* () {
          for await (const event of engine.generate(request(prompt, 5, { kv }))) {
            most = Math.max(most, engine.stats.running);
            yield event;
          }
        })(),
      ),
    );
    await Promise.all(all);
    expect(most).toBe(2);
    expect(runner.passes.slice(0, 2)).toEqual(["prefill 0", "prefill 1"]);
    expect(engine.stats.cacheBytes).toBe(0);
  });

  test("refuse what never fits", () => {
    const engine = new LlmEngine(openShaped(), { maxCacheBytes: bytesOf(6, 5).promptPeakBytes });
    void engine.generate(request([1, 2, 3, 4, 5, 6], 5, { kv }));
    expect(failure(() => engine.generate(request([1, 2, 3, 4, 5, 6, 7], 5, { kv })))).toMatchObject({
      code: "LLM_CACHE_BYTES",
    });
  });
});

describe("a conversation", () => {
  test("reads each turn behind what its sequence holds, the last token first", async () => {
    const runner = open(2);
    const engine = new LlmEngine(runner);
    const talk = engine.converse({ maxNewTokens: 8 });
    const first = await endOf(talk.generate(request([1, 2], 4)));
    const held = runner.texts[0];
    expect(held).toEqual([1, 2, ...first.tokens.slice(0, -1)]);
    const second = await endOf(talk.generate(request([5, 6], 4)));
    expect(runner.texts[0]).toEqual([1, 2, ...first.tokens, 5, 6, ...second.tokens.slice(0, -1)]);
    expect(second.promptTokens).toBe(3);
    talk.end();
    expect(runner.texts).toEqual([null, null]);
    expect(failure(() => talk.generate(request([1], 1)))).toMatchObject({ code: "LLM_CONVERSATION" });
  });

  test("takes one turn at a time, and goes on although others wait for its sequence", async () => {
    const runner = open(1);
    const engine = new LlmEngine(runner);
    const talk = engine.converse({ maxNewTokens: 8 });
    const turn = talk.generate(request([1, 2], 2));
    expect(failure(() => talk.generate(request([1], 1)))).toMatchObject({ code: "LLM_CONVERSATION" });
    await collect(turn);
    const waiting = endOf(engine.generate(request([3], 1)));
    expect(await endOf(talk.generate(request([4], 2)))).toMatchObject({ finishReason: "length" });
    talk.end();
    expect(await waiting).toMatchObject({ finishReason: "length" });
    expect(runner.texts).toEqual([null]);
  });

  test("ends with a turn that is aborted", async () => {
    const runner = open(1);
    const engine = new LlmEngine(runner);
    const talk = engine.converse({ maxNewTokens: 100 });
    const turn = talk.generate(request([1, 2], 100));
    await turn.next();
    talk.end();
    expect((await collect(turn)).at(-1)).toMatchObject({ finishReason: "abort" });
    expect(talk.isOver).toBe(true);
    expect(runner.texts).toEqual([null]);
  });
});
