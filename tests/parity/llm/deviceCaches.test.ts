/** @file Caches in a device's memory: what grows, what does not fit, and what angles allow. */
import { expect, test } from "vitest";
import { estimate } from "../../../src/llm/estimate.ts";
import { full } from "../../../src/llm/kv/policies/full.ts";
import { streaming } from "../../../src/llm/kv/policies/streaming.ts";
import { keyformer } from "../../../src/llm/kv/policies/keyformer.ts";
import type { LlmRunner, SequenceOptions } from "../../../src/llm/runner/runner.ts";
import { cases, largestDifference, openCase } from "./goldenModels.ts";
import { onEachDevice } from "./runnerDevices.ts";

const PROMPT = cases.tokens.slice(0, 40);
const STEPS = 6;

onEachDevice((device) => {
  test("a text after a smaller one decides and computes what it does alone", async () => {
    const run = async (budgets: readonly number[]) => {
      const runner = await openCase("llama", "default", 1, device);
      try {
        let all: number[] = [];
        for (const tokens of budgets) {
          all = [];
          const decided: string[] = [];
          runner.begin(0, {
            policies: () => keyformer({ budget: { count: tokens }, horizon: STEPS }),
            maxNewTokens: STEPS,
            onDecision: ({ positions }) => decided.push(positions.join()),
          });
          all.push(...(await runner.prefill([{ sequence: 0, tokens: PROMPT }])));
          for (let step = 0; step < STEPS; step++)
            all.push(...(await runner.decode([{ sequence: 0, token: cases.tokens[step]! }])));
          all.push(...decided.join().split(",").map(Number));
        }
        return all;
      } finally {
        await runner.dispose();
      }
    };
    expect(await run([20, 27])).toEqual(await run([27]));
  });

  test.each([
    ["full", full()],
    ["keyformer", keyformer({ budget: { share: 0.5 }, horizon: STEPS, evictEvery: 2 })],
    ["streaming", streaming({ budget: { count: 12 } })],
  ])("%s: takes what is estimated before a model is loaded", async (_, policy) => {
    const runner = await openCase("llama", "default", 1, device);
    try {
      const policies = () => policy;
      runner.begin(0, { policies, maxNewTokens: STEPS });
      await runner.prefill([{ sequence: 0, tokens: PROMPT }]);
      for (let step = 0; step < STEPS; step++) await runner.decode([{ sequence: 0, token: 3 }]);
      const texts = { contextTokens: PROMPT.length, newTokens: STEPS, policies };
      const { kvBytes, bookkeepingBytes } = estimate(runner.config, {
        ...texts,
        device,
        dtype: "f32",
      }).policy;
      expect(runner.memory(0)).toMatchObject({ kvBytes, bookkeepingBytes });
    } finally {
      await runner.dispose();
    }
  });

  test("a text that does not fit ends with an error; others go on, and its sequence takes another", async () => {
    const runner = await openCase("llama", "default", 2, device);
    const alone = await openCase("llama", "default", 1, device);
    const fits: SequenceOptions = { policies: full, maxNewTokens: STEPS };
    const tooLarge: SequenceOptions = { policies: full, maxNewTokens: 2 ** 40 };
    const noRoom: unknown = expect.objectContaining({
      code: device === "cuda" ? "CUDA_OUT_OF_MEMORY" : "HEAP_FULL",
    });
    try {
      for (const each of [runner, alone]) {
        each.begin(0, fits);
        await each.prefill([{ sequence: 0, tokens: PROMPT }]);
      }
      const same = async (token: number) =>
        expect(await runner.decode([{ sequence: 0, token }])).toEqual(
          await alone.decode([{ sequence: 0, token }]),
        );
      await same(3);
      runner.begin(1, tooLarge);
      await expect(runner.prefill([{ sequence: 1, tokens: PROMPT }])).rejects.toEqual(noRoom);
      expect(runner.memory(1).kvBytes).toBe(0);
      await same(5);
      const snapshot = await runner.snapshot(0);
      runner.begin(1, tooLarge);
      await expect(runner.restore(1, snapshot)).rejects.toEqual(noRoom);
      await same(7);
      runner.begin(1, fits);
      await runner.restore(1, snapshot);
      const [restored] = await runner.decodeTokens([{ sequence: 1, token: 7 }]);
      expect(restored).toBeGreaterThanOrEqual(0);
      await same(9);
    } finally {
      await Promise.all([runner.dispose(), alone.dispose()]);
    }
  });

  if (device === "cpu") return;

  test.each(["dynamic", "longrope"])(
    "%s: turns entries that are numbered anew as the host does",
    async (name) => {
      const [runner, host] = [await openCase("llama", name, 1, device), await openCase("llama", name)];
      try {
        const same = async (call: (on: LlmRunner) => Promise<Float32Array>) =>
          expect(largestDifference(await call(runner), await call(host))).toBeLessThan(1e-4);
        for (const each of [runner, host])
          each.begin(0, { policies: () => streaming({ budget: { count: 20 } }), maxNewTokens: STEPS });
        for (let turn = 0; turn < 2; turn++) {
          await same((on) => on.prefill([{ sequence: 0, tokens: PROMPT }]));
          for (let step = 0; step < STEPS; step++)
            await same((on) => on.decode([{ sequence: 0, token: cases.tokens[turn + step]! }]));
        }
      } finally {
        await Promise.all([runner.dispose(), host.dispose()]);
      }
    },
  );

  test("entries that are numbered anew stay below where angles change with the length", async () => {
    const runner = await openCase("llama", "longrope", 1, device);
    try {
      const { scaling } = runner.config.rotary!;
      const original = scaling.kind === "longrope" ? scaling.original : 0;
      const read = async (tokens: number) => {
        runner.begin(0, {
          policies: () => streaming({ budget: { count: tokens } }),
          maxNewTokens: 2 * original,
        });
        return runner.prefill([{ sequence: 0, tokens: PROMPT }]);
      };
      await expect(read(original)).rejects.toMatchObject({ code: "LLM_POSITIONS" });
      expect(await read(original - 1)).toHaveLength(runner.config.vocabSize);
    } finally {
      await runner.dispose();
    }
  });
});
