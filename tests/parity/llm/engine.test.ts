/** @file The engine on a model: what a request comes to does not depend on those beside it, whatever their policies. */
import { describe, expect, test } from "vitest";
import { LlmEngine } from "../../../src/llm/engine/llmEngine.ts";
import type { EndEvent, GenerateRequest } from "../../../src/llm/engine/request.ts";
import { endOf } from "../../../src/llm/engine/runBatch.ts";
import type { KvDecisionEvent } from "../../../src/llm/kv/decisionEvent.ts";
import { kvPolicies } from "../../../src/llm/kv/kvPolicies.ts";
import { cases, openCase } from "./goldenModels.ts";

const POLICIES = [
  ...kvPolicies.names.map((name) => (name === "full" ? name : `${name}:budget=40%`)),
  "keyformer:budget=10,scope=shared,noise=none",
  "keyformer:budget=10,positions=new,evictEvery=3",
];

/** Ragged requests, each with a policy, a way of choosing tokens and a length of its own. */
const requests = Array.from({ length: 32 }, (_, i): GenerateRequest => {
  const start = (7 * i) % 20;
  return {
    id: `request ${i}`,
    prompt: cases.tokens.slice(start, start + 4 + ((5 * i) % 24)),
    maxNewTokens: 3 + ((3 * i) % 17),
    kv: POLICIES[i % POLICIES.length]!,
    noise: { seed: i },
    ignoreEos: true,
    ...(i % 3 !== 0 && { sampling: { temperature: 0.5 + (i % 4) / 2, topK: 5 + i, topP: 0.95, seed: i } }),
  };
});
const whatOf = ({ tokens, finishReason, memory, promptTokens }: EndEvent) => ({
  tokens,
  finishReason,
  memory,
  promptTokens,
});

describe.each(["llama", "gpt2"])("%s", (model) => {
  test("a request alone comes to what it does among 31 others, each with a policy of its own", async () => {
    const engine = new LlmEngine(await openCase(model, "default", 32));
    try {
      const decisions = new Map<string, KvDecisionEvent[]>();
      const onDecision = (event: KvDecisionEvent) => {
        decisions.set(event.subject, [...(decisions.get(event.subject) ?? []), event]);
      };
      const run = (request: GenerateRequest) => endOf(engine.generate({ ...request, onDecision }));
      const together = await Promise.all(requests.map(run));
      const decidedTogether = new Map(decisions);
      decisions.clear();
      for (const [i, request] of requests.entries())
        expect(whatOf(together[i]!), request.id).toEqual(whatOf(await run(request)));
      expect(decidedTogether).toEqual(decisions);
      expect(new Set([...decisions.values()].map(([first]) => first!.policy)).size).toBe(8);
    } finally {
      await engine.dispose();
    }
  });

  test("requests that join late, wait, or see others aborted come to what they do alone", async () => {
    const engine = new LlmEngine(await openCase(model, "default", 3));
    try {
      const stop = new AbortController();
      const endless = { ...requests[4]!, id: "endless", maxNewTokens: 1000, signal: stop.signal };
      // The model with learned positions has too few for it.
      if (model === "gpt2") endless.maxNewTokens = 30;
      const running = engine.generate(endless);
      await running.next();
      const some = requests.slice(0, 9);
      const late = some.map((request) => endOf(engine.generate(request)));
      await running.next();
      stop.abort();
      const together = await Promise.all(late);
      const ended = await endOf(running);
      if (model === "llama") expect(ended.finishReason).toBe("abort");
      for (const [i, request] of some.entries())
        expect(whatOf(together[i]!), request.id).toEqual(whatOf(await endOf(engine.generate(request))));
      for (let sequence = 0; sequence < 3; sequence++) expect(engine.runner.memory(sequence).kvBytes).toBe(0);
    } finally {
      await engine.dispose();
    }
  });

  test("caches take no more bytes than were set aside", async () => {
    const runner = await openCase(model, "default", 8);
    const alone = new LlmEngine(runner, { maxCacheBytes: 2 ** 30 });
    const some = requests.slice(0, 11);
    let largest = 0;
    for (const request of some) {
      const events = alone.generate(request);
      await events.next();
      largest = Math.max(largest, alone.stats.cacheBytes);
      const { memory } = await endOf(events);
      expect(memory!.kvBytes + memory!.bookkeepingBytes).toBeLessThanOrEqual(largest);
    }
    const engine = new LlmEngine(runner, { maxCacheBytes: 3 * largest });
    try {
      let most = 0;
      await Promise.all(
        some.map(async (request) => {
          for await (const _ of engine.generate(request)) {
            let held = 0;
            for (let sequence = 0; sequence < 8; sequence++) {
              const { kvBytes, bookkeepingBytes } = runner.memory(sequence);
              held += kvBytes + bookkeepingBytes;
            }
            most = Math.max(most, held);
            expect(held).toBeLessThanOrEqual(engine.stats.cacheBytes);
          }
        }),
      );
      expect(most).toBeGreaterThan(largest / 2);
    } finally {
      await engine.dispose();
    }
  });
});
