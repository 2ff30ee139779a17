/** @file `pareto llm estimate` as a user runs it, on a shape alone. */
import { writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeTinyLlama2c } from "../support/llm/tinyLlama2c.ts";
import { Workspace } from "./cli.ts";

let work: Workspace;
beforeAll(async () => {
  work = await Workspace.create();
  await writeTinyLlama2c(work.directory);
  await writeFile(
    work.path("config.json"),
    JSON.stringify({
      model_type: "gpt2",
      n_embd: 64,
      n_layer: 2,
      n_head: 4,
      n_positions: 512,
      vocab_size: 100,
    }),
  );
});
afterAll(() => work.remove());

describe("pareto llm estimate", () => {
  test("needs no weights, and says what the cache and the rate will be", async () => {
    const args = [
      "llm",
      "estimate",
      "config.json",
      "--context",
      "100",
      "--new-tokens",
      "50",
      "--bandwidth",
      "20",
    ];
    const { status, stdout } = await work.run([...args, "--kv", "h2o:budget=20"]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/100 \+ 50 tokens × 1 +full +h2o/);
    expect(stdout).toMatch(/tokens\/s at most +\d+ +\d+/);
    const { done } = await work.json([...args, "--kv", "h2o:budget=20"]);
    const perToken = 2 * 2 * 64 * 4;
    expect(done).toMatchObject({
      kvBytesPerToken: perToken,
      bandwidth: 20e9,
      bandwidthSource: "--bandwidth",
    });
    expect(done).toMatchObject({ full: { kvBytes: 150 * perToken }, policy: { kvBytes: 21 * perToken } });
  });

  test("is right about the cache that generate then has", async () => {
    const args = ["tiny.bin", "--kv", "keyformer:budget=6"];
    const estimated = await work.json(["llm", "estimate", ...args, "--context", "12", "--new-tokens", "9"]);
    const generated = await work.json([
      "llm",
      "generate",
      ...args,
      "--prompt",
      "abc abc",
      "--max-new-tokens",
      "9",
    ]);
    expect(generated.done["evictedTokens"]).toBeGreaterThan(0);
    expect((estimated.done["policy"] as { kvBytes: number }).kvBytes).toBe(generated.done["kvBytes"]);
    expect(estimated.done["bandwidthSource"]).toBe("measured");
    expect(estimated.done["bandwidth"]).toBeGreaterThan(1e8);
  });

  test.each([
    ["more positions than were learned", ["config.json", "--context", "600"], "LLM_CONTEXT"],
    ["a type that the cpu does not compute in", ["config.json", "--dtype", "bf16"], "LLM_DTYPE"],
    ["a model that is not there", ["none"], "FILE_MISSING"],
  ])("refuses %s", async (_, args, code) => {
    const { status, stderr } = await work.run(["llm", "estimate", ...args]);
    expect(status).toBe(2);
    expect(stderr).toContain(`error ${code}`);
  });
});
