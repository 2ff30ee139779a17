/** @file What a session refuses, and the shortest texts. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { DenseDecoder } from "../../../src/llm/generate/denseDecoder.ts";
import { generateTokens } from "../../../src/llm/generate/generate.ts";
import { Sampler } from "../../../src/llm/generate/sampler.ts";
import { LlmSession } from "../../../src/llm/generate/session.ts";
import { full } from "../../../src/llm/kv/policies/full.ts";
import { keyformer } from "../../../src/llm/kv/policies/keyformer.ts";
import { streaming } from "../../../src/llm/kv/policies/streaming.ts";
import { cases, openCase } from "./goldenModels.ts";

let gpt2: DenseDecoder;
beforeAll(async () => {
  gpt2 = await openCase("gpt2", "default");
});
afterAll(() => gpt2.dispose());

const session = (maxNewTokens = 4, policies = full) => new LlmSession(gpt2, { policies, maxNewTokens });
const refusal = (code: string): unknown => expect.objectContaining({ code });

async function textOf(of: LlmSession, prompt: number[], maxNewTokens: number, endTokens: number[] = []) {
  const tokens: number[] = [];
  const run = generateTokens(of, prompt, new Sampler(), { maxNewTokens, endTokens });
  for (;;) {
    const next = await run.next();
    if (next.done) return { tokens, times: next.value };
    tokens.push(next.value);
  }
}

describe("LlmSession", () => {
  test("refuses an empty prompt, a second one, a step before it and tokens that the model lacks", async () => {
    await expect(session().prompt([])).rejects.toThrow(refusal("LLM_PROMPT"));
    await expect(session().step(3)).rejects.toThrow(refusal("LLM_PROMPT"));
    await expect(session().prompt([3, 64])).rejects.toThrow(refusal("LLM_PROMPT"));
    const once = session();
    await once.prompt([3]);
    await expect(once.prompt([3])).rejects.toThrow(refusal("LLM_PROMPT"));
  });

  test("refuses a text beyond the learned positions before it begins, unless positions are numbered anew", async () => {
    const prompt = cases.tokens.slice(0, 60);
    // The last token is chosen at position 128 but never read.
    await expect(session(70).prompt(prompt)).rejects.toThrow(refusal("LLM_CONTEXT"));
    await expect(session(69).prompt(prompt)).resolves.toHaveLength(64);
    const renumbered = session(100, () => streaming({ budget: { tokens: 20 } }));
    expect((await textOf(renumbered, prompt, 100)).tokens).toHaveLength(100);
  });

  test("goes on from one token, within and beyond a budget", async () => {
    const wanted = await textOf(session(30), [5], 30);
    const within = session(30, () => keyformer({ budget: { tokens: 40 }, horizon: 30 }));
    expect((await textOf(within, [5], 30)).tokens).toEqual(wanted.tokens);
    const beyond = session(30, () => keyformer({ budget: { tokens: 8 }, horizon: 30 }));
    await textOf(beyond, [5], 30);
    expect(beyond.memory).toMatchObject({
      tokensSeen: 30,
      evictedTokens: 22,
      kvBytes: 2 * 2 * 32 * 4 * (8 + 1),
      fullKvBytes: 2 * 2 * 32 * 4 * 30,
    });
  });

  test("ends at an end token, which is not given", async () => {
    const { tokens } = await textOf(session(30), [5], 30);
    const end = tokens[4]!;
    const cut = await textOf(session(30), [5], 30, [end]);
    expect(cut.tokens).toEqual(tokens.slice(0, tokens.indexOf(end)));
    expect(cut.times).toMatchObject({ endedBy: "end-token", decodeSteps: tokens.indexOf(end) });
  });
});
