/**
 * @file Texts that are read in several goes: further turns over a cache that has evicted, prompts in pieces, copies,
 * and snapshots. A turn equals the mask over everything, and scores equal the sums of attention that the mask sees.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { kvPolicy } from "../../../src/llm/kv/kvPolicies.ts";
import type { KvDecision } from "../../../src/llm/kv/policy.ts";
import { h2o } from "../../../src/llm/kv/policies/h2o.ts";
import { keyformer } from "../../../src/llm/kv/policies/keyformer.ts";
import { streaming } from "../../../src/llm/kv/policies/streaming.ts";
import type { KvPolicy } from "../../../src/llm/kv/policy.ts";
import type { LlmRunner } from "../../../src/llm/runner/runner.ts";
import { cases, largestDifference, openCase, openDense } from "./goldenModels.ts";
import { MaskedModel } from "./maskedModel.ts";
import { onEachDevice } from "./runnerDevices.ts";

/** Tokens read at once, then decoded one by one, turn after turn. */
const TURNS = [
  { read: 30, decode: 9 },
  { read: 12, decode: 8 },
  { read: 1, decode: 3 },
  { read: 17, decode: 6 },
];
const BUDGET = 16;
const TEXT = Array.from({ length: 120 }, (_, i) => cases.tokens[(i * 3) % cases.tokens.length]!);

/** Reads all turns; `check` is told each pass's logits, decisions and the tokens seen by then. */
async function converse(
  runner: LlmRunner,
  policy: KvPolicy,
  check: (logits: Float32Array, decisions: readonly KvDecision[], tokensSeen: number) => Promise<void> | void,
  pieceTokens = Number.POSITIVE_INFINITY,
): Promise<void> {
  const decisions: KvDecision[] = [];
  runner.begin(0, {
    policies: () => policy,
    maxNewTokens: 30,
    seed: 7,
    promptTokens: TURNS[0]!.read,
    onDecision: (decision) => decisions.push(decision),
  });
  let at = 0;
  for (const { read, decode } of TURNS) {
    for (const end = at + read; at < end;) {
      const tokens = TEXT.slice(at, Math.min(end, at + pieceTokens));
      at += tokens.length;
      const logits = await runner.prefill([{ sequence: 0, tokens, more: at < end }]);
      if (at === end) await check(logits, decisions.splice(0), at);
      else expect(decisions).toEqual([]);
    }
    for (let i = 0; i < decode; i++) {
      const logits = await runner.decode([{ sequence: 0, token: TEXT[at++]! }]);
      await check(logits, decisions.splice(0), at);
    }
  }
}

const POLICIES: [string, string, string][] = [
  ["llama", "default", "keyformer"],
  ["llama", "default", "h2o"],
  ["llama", "default", "tova"],
  ["llama", "default", "snapkv"],
  ["llama", "default", "random"],
  ["llama", "mistral", "keyformer"],
  ["gptj", "default", "keyformer"],
  ["mpt", "default", "keyformer"],
  ["gpt2", "default", "streaming"],
];

onEachDevice((device) => {
  describe("further turns", () => {
    test.each(POLICIES)("%s %s, %s: equal the mask over everything", async (model, name, policyName) => {
      const runner = await openCase(model, name, 1, device);
      const dense = await openDense(model, name);
      try {
        const policy = kvPolicy({ name: policyName, budget: { count: BUDGET } }, { maxNewTokens: 30 });
        const masked = new MaskedModel(dense, policy.positions === "new");
        let read = 0;
        await converse(runner, policy, async (logits, decisions, seen) => {
          let wanted = logits;
          while (read < seen) wanted = await masked.read(TEXT[read]!, read++);
          expect(largestDifference(logits, wanted)).toBeLessThan(1e-4);
          for (const decision of decisions) masked.apply(decision, seen);
        });
        const tokens = TURNS.reduce((sum, turn) => sum + turn.read + turn.decode, 0);
        // A sliding window shows the next token one entry less than its width.
        const { layers, kvHeads, slidingWindow } = runner.config;
        const evictedTokens = tokens - Math.min(BUDGET, (slidingWindow(0) ?? Number.POSITIVE_INFINITY) - 1);
        expect(masked.hidden).toBe(layers * kvHeads * evictedTokens);
        expect(runner.memory(0)).toMatchObject({ tokensSeen: tokens, evictedTokens });
      } finally {
        await Promise.all([runner.dispose(), dense.dispose()]);
      }
    });

    test.each(["llama", "mpt"])(
      "%s: what stays has the largest sums of attention over all turns",
      async (model) => {
        const runner = await openCase(model, "default", 1, device);
        const dense = await openDense(model, "default");
        try {
          const masked = new MaskedModel(dense, false);
          let read = 0;
          let decided = 0;
          await converse(runner, h2o({ budget: { count: BUDGET } }), async (_, decisions, seen) => {
            while (read < seen) await masked.read(TEXT[read]!, read++);
            for (const decision of decisions) {
              masked.expectHeavy(decision, seen, BUDGET / 2);
              masked.apply(decision, seen);
              decided++;
            }
          });
          const passes = TURNS.reduce((sum, turn) => sum + 1 + turn.decode, 0);
          expect(decided).toBe(passes * runner.config.layers * runner.config.kvHeads);
        } finally {
          await Promise.all([runner.dispose(), dense.dispose()]);
        }
      },
    );

    test("a budget that is a share is one of all tokens seen when the turn ends", async () => {
      const runner = await openCase("llama", "default", 1, device);
      try {
        const policy = keyformer({ budget: { share: 0.5 }, horizon: 30 });
        const live: number[] = [];
        await converse(runner, policy, (_, __, seen) => {
          live.push(seen - runner.memory(0).evictedTokens);
        });
        const turns = TURNS.map(({ decode }) => [...new Set(live.splice(0, 1 + decode))]);
        // A turn may allow more than the one before, but what was evicted is gone: the third one has 25 + 1 entries and
        // room for 30.
        expect(turns).toEqual([[15], [25], [26, 27, 28, 29], [40]]);
      } finally {
        await runner.dispose();
      }
    });

    test.each([1, 7, 13])("in pieces of %i tokens they come to the same", async (pieceTokens) => {
      const runner = await openCase("llama", "default", 1, device);
      try {
        const byScores = { budget: { count: BUDGET }, horizon: 30 };
        const snapkv = kvPolicy({ name: "snapkv", budget: { count: BUDGET } }, { maxNewTokens: 30 });
        // Of a further turn nobody knows the last queries until it ends, so SnapKV's votes are compared in the first one.
        for (const [policy, passes] of [
          [keyformer(byScores), Number.POSITIVE_INFINITY],
          [keyformer({ ...byScores, scope: "shared" }), Number.POSITIVE_INFINITY],
          [snapkv, 1 + TURNS[0]!.decode],
        ] as const) {
          const whole: { logits: Float32Array; decisions: readonly KvDecision[] }[] = [];
          await converse(runner, policy, (logits, decisions) => void whole.push({ logits, decisions }));
          let pass = 0;
          const compare = (logits: Float32Array, decisions: readonly KvDecision[]) => {
            if (pass >= passes) return;
            const wanted = whole[pass++]!;
            expect(decisions).toEqual(wanted.decisions);
            expect(largestDifference(logits, wanted.logits)).toBeLessThan(1e-4);
          };
          await converse(runner, policy, compare, pieceTokens);
          expect(pass).toBe(Math.min(whole.length, passes));
        }
      } finally {
        await runner.dispose();
      }
    });
  });

  describe("copies of a text", () => {
    let runner: LlmRunner;
    beforeAll(async () => {
      runner = await openCase("llama", "default", 3, device);
    });
    afterAll(() => runner.dispose());

    const policies: KvPolicy[] = [
      keyformer({ budget: { count: BUDGET }, horizon: 30 }),
      streaming({ budget: { count: BUDGET } }),
    ];

    /** Decodes some tokens from a place of the text, and reads a turn. */
    async function goOn(on: LlmRunner, sequence: number, from: number): Promise<number[]> {
      const all: number[] = [];
      for (let at = from; at < from + 8; at++)
        all.push(...(await on.decode([{ sequence, token: TEXT[at]! }])));
      all.push(...(await on.prefill([{ sequence, tokens: TEXT.slice(from + 8, from + 14) }])));
      all.push(...(await on.decode([{ sequence, token: TEXT[from + 14]! }])));
      return all;
    }

    async function begin(on: LlmRunner, sequence: number, policy: KvPolicy, decode = 5): Promise<void> {
      on.begin(sequence, { policies: () => policy, maxNewTokens: 30, seed: 11, stream: 3 });
      await on.prefill([{ sequence, tokens: TEXT.slice(0, 40) }]);
      for (let at = 40; at < 40 + decode; at++) await on.decode([{ sequence, token: TEXT[at]! }]);
    }

    test("a copy goes on as the text would, and neither touches the other", async () => {
      for (const policy of policies) {
        await begin(runner, 0, policy);
        const wanted = await goOn(runner, 0, 45);
        await begin(runner, 0, policy);
        await runner.fork(0, 2);
        const { evictedTokens, tokensSeen } = runner.memory(0);
        expect(runner.memory(2)).toMatchObject({ evictedTokens, tokensSeen });
        // The copy goes another way first.
        await goOn(runner, 2, 60);
        await runner.fork(0, 1);
        expect(await goOn(runner, 0, 45)).toEqual(wanted);
        runner.release(0);
        expect(await goOn(runner, 1, 45)).toEqual(wanted);
      }
    });

    test("a snapshot goes on in another sequence and on a runner of the host, as often as wanted", async () => {
      const other = await openCase("llama", "default");
      try {
        for (const policy of policies) {
          await begin(runner, 0, policy);
          // Plain data: it can be cloned, and so stored.
          const snapshot = structuredClone(await runner.snapshot(0));
          const { evictedTokens, tokensSeen } = runner.memory(0);
          const wanted = await goOn(runner, 0, 45);
          for (const [on, sequence] of [
            [runner, 2],
            [runner, 0],
            [other, 0],
          ] as const) {
            on.begin(sequence, { policies: () => policy, maxNewTokens: 30, seed: 11, stream: 3 });
            await on.restore(sequence, snapshot);
            expect(on.memory(sequence)).toMatchObject({ evictedTokens, tokensSeen });
            const found = await goOn(on, sequence, 45);
            if (on === other) expect(largestDifference(found, wanted)).toBeLessThan(1e-4);
            else expect(found).toEqual(wanted);
          }
        }
      } finally {
        await other.dispose();
      }
    });

    test("a snapshot does not fit another model, and is not taken in the middle of a prompt", async () => {
      const other = await openCase("mpt", "default", 1, device);
      try {
        await begin(runner, 0, policies[0]!);
        const snapshot = await runner.snapshot(0);
        other.begin(0, { policies: () => policies[0]!, maxNewTokens: 4 });
        await expect(other.restore(0, snapshot)).rejects.toThrow(
          expect.objectContaining({ code: "LLM_SNAPSHOT" }),
        );
        await runner.prefill([{ sequence: 0, tokens: [3, 4], more: true }]);
        await expect(runner.snapshot(0)).rejects.toThrow(expect.objectContaining({ code: "LLM_PROMPT" }));
      } finally {
        await other.dispose();
      }
    });
  });
});
