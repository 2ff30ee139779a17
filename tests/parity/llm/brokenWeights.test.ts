/** @file Weights that are no numbers end the texts that meet them with an error, and never choose a token. */
import { rm } from "node:fs/promises";
import { expect, test } from "vitest";
import { full } from "../../../src/llm/kv/policies/full.ts";
import { keyformer } from "../../../src/llm/kv/policies/keyformer.ts";
import { openModelFolder } from "../../../src/llm/load/modelFolder.ts";
import { openRunner } from "../../../src/llm/runner/openRunner.ts";
import type { LlmRunner } from "../../../src/llm/runner/runner.ts";
import { caseFolder } from "./goldenModels.ts";
import { onEachDevice, type RunnerDevice } from "./runnerDevices.ts";

const PROMPT = [3, 9, 27, 17, 51, 25, 11, 33];

/** A model of which one tensor is broken, by NaN everywhere if not otherwise. */
async function withBroken(
  device: RunnerDevice,
  broken: string,
  use: (runner: LlmRunner) => Promise<void>,
  breaks = (values: Float32Array) => values.fill(Number.NaN),
): Promise<void> {
  const folder = await caseFolder("llama", "default");
  const files = await openModelFolder(folder);
  const read = async (name: string) => {
    const values = await files.read(name);
    return name === broken ? breaks(values) : values;
  };
  const readStored: typeof files.readStored = async (name) =>
    name === broken ? { dtype: "float32", elements: await read(name) } : files.readStored(name);
  const changed = { ...files, name: files.name, config: files.config, close: () => files.close() };
  const runner = await openRunner(
    { ...changed, read, readStored },
    { device, dtype: "f32", threads: 1, maxSequences: 2 },
  );
  try {
    await use(runner);
  } finally {
    await runner.dispose();
    await files.close();
    await rm(folder, { recursive: true });
  }
}

onEachDevice((device) => {
  test("logits that are not numbers are refused where they would be scores", async () => {
    await withBroken(device, "model.layers.1.self_attn.k_proj.weight", async (runner) => {
      runner.begin(0, { policies: () => keyformer({ budget: { count: 4 }, horizon: 4 }), maxNewTokens: 4 });
      const read = runner.prefill([{ sequence: 0, tokens: PROMPT }]);
      await expect(read).rejects.toMatchObject({ code: "KV_LOGITS_NOT_FINITE" });
    });
  });

  test.each([
    ["attention", "model.layers.0.self_attn.v_proj.weight"],
    ["the last layer", "model.layers.1.mlp.down_proj.weight"],
  ])("with a full cache, tokens are never chosen by what is no number: %s", async (_, name) => {
    await withBroken(device, name, async (runner) => {
      runner.begin(0, { policies: full, maxNewTokens: 4 });
      const read = runner.prefill([{ sequence: 0, tokens: PROMPT }]);
      await expect(read).rejects.toMatchObject({ code: "LLM_LOGITS" });
      expect(runner.memory(0).kvBytes).toBe(0);
    });
  });

  test("an embedding that is no number ends the text that steps on it, and no other", async () => {
    const ofToken5 = (values: Float32Array) => values.fill(Number.NaN, 5 * 32, 6 * 32);
    await withBroken(
      device,
      "model.embed_tokens.weight",
      async (runner) => {
        for (const sequence of [0, 1]) {
          runner.begin(sequence, { policies: full, maxNewTokens: 4 });
          await runner.prefill([{ sequence, tokens: [1, 2, 3] }]);
        }
        await expect(runner.decodeTokens([{ sequence: 0, token: 5 }])).rejects.toMatchObject({
          code: expect.stringMatching(/^(LLM_LOGITS|KV_LOGITS_NOT_FINITE)$/),
        });
        expect(runner.memory(0).tokensSeen).toBe(0);
        const [token] = await runner.decodeTokens([{ sequence: 1, token: 4 }]);
        expect(token).toBeGreaterThanOrEqual(0);
      },
      ofToken5,
    );
  });
});
