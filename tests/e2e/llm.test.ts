/** @file `pareto generate` as a user runs it, on tiny models and, where there is one, on a real checkpoint. */
import { cp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeTinyLlama2c } from "../unit/llm/tinyLlama2c.ts";
import { Workspace } from "./cli.ts";

const golden = join(import.meta.dirname, "../../golden/llm");
/** A `stories260K.bin` of llama2.c, with `tok512.bin` beside it. */
const stories = process.env["PARETO_STORIES"];
const PROMPT = "abc abc bca ab abc bc abc a";

let work: Workspace;
let bin: string;
beforeAll(async () => {
  work = await Workspace.create();
  bin = await writeTinyLlama2c(work.directory);
});
afterAll(() => work.remove());

describe("pareto generate", () => {
  test("writes the text to stdout and how it went to stderr", async () => {
    const { status, stdout, stderr } = await work.run([
      "generate",
      bin,
      "--prompt",
      PROMPT,
      "--max-new-tokens",
      "8",
    ]);
    expect({ status, stderr }).toMatchObject({ status: 0 });
    expect(stdout.endsWith("\n")).toBe(true);
    expect(stderr).toMatch(/prompt \d+ tokens at .* KV cache .* 0 tokens evicted/);
  });

  test("reads the prompt from a file, and gives each token with --json", async () => {
    await writeFile(work.path("prompt.txt"), `${PROMPT}\n`);
    const args = ["--max-new-tokens", "6", "--temperature", "1.5", "--top-p", "0.95", "--seed", "4"];
    const { lines, done } = await work.json(["generate", bin, "--prompt", "@prompt.txt", ...args]);
    const again = await work.json(["generate", bin, "--prompt", PROMPT, ...args]);
    const tokens = (of: typeof lines) =>
      of.filter((line) => line.event === "token").map((line) => line["token"]);
    expect(tokens(lines)).toHaveLength(done["newTokens"] as number);
    expect(tokens(again.lines)).toEqual(tokens(lines));
    expect(done["text"]).toBe(again.done["text"]);
  });

  test("keeps the cache at its budget, with the bytes of budget and one spare slot", async () => {
    const run = async (...args: string[]) =>
      (await work.json(["generate", bin, "--prompt", PROMPT, "--max-new-tokens", "20", ...args])).done;
    const full = await run();
    const done = await run("--kv", "keyformer", "--kv-budget", "6", "--recent", "50%");
    const bytesPerToken = 2 * 2 * 2 * 4 * 4;
    expect(full["evictedTokens"]).toBe(0);
    expect(full["fullKvBytes"]).toBe((full["tokensSeen"] as number) * bytesPerToken);
    expect(done["kvBytes"]).toBe((6 + 1) * bytesPerToken);
    expect(done["evictedTokens"]).toBe((done["tokensSeen"] as number) - 6);
  });

  test("reads a model folder with tokenizer.json", async () => {
    await cp(join(golden, "llama"), work.path("llama"), { recursive: true });
    await cp(join(golden, "tokenizers/letters.json"), work.path("llama/tokenizer.json"));
    const { done } = await work.json(["generate", "llama", "--prompt", "the cat", "--max-new-tokens", "5"]);
    expect(done).toMatchObject({ model: "llama", kv: "full" });
    expect(done["newTokens"]).toBeGreaterThan(0);
  });

  test.each([
    ["a model that is not there", ["none", "--prompt", "a"], "FILE_MISSING"],
    ["a folder that is no model", [".", "--prompt", "a"], "LLM_FILE_MISSING"],
    ["a budget for the full cache", ["tiny.bin", "--prompt", "a", "--kv-budget", "50%"], "KV_OPTION"],
    ["a budget of no tokens", ["tiny.bin", "--prompt", "a", "--kv", "h2o", "--kv-budget", "0"], "KV_BUDGET"],
    ["a choice of tokens when none is drawn", ["tiny.bin", "--prompt", "a", "--top-p", "0.9"], "CLI_OPTION"],
    ["an unknown policy", ["tiny.bin", "--prompt", "a", "--kv", "fifo"], "CLI_OPTION"],
  ])("refuses %s", async (_, args, code) => {
    const { status, stderr } = await work.run(["generate", ...args]);
    expect(status).toBe(2);
    expect(stderr).toContain(`error ${code}`);
  });
});

describe.skipIf(stories === undefined)("stories260K (PARETO_STORIES)", () => {
  const START =
    "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big, red ball. She wanted to play with it, but it was too high.\nLily's mom said, \"Lily, let's go to the park.\" Lily was sad and didn't know what to do.";

  test("tells the published story", async () => {
    const { done } = await work.json(["generate", stories!, "--prompt", "", "--max-new-tokens", "200"]);
    expect(done["text"]).toSatisfy((text: string) => text.startsWith(START));
    expect(done).toMatchObject({ newTokens: 200, evictedTokens: 0 });
  });

  test("goes on in words with half of the cache", async () => {
    const prompt = START.slice(0, 120);
    const args = ["--kv", "keyformer", "--kv-budget", "50%", "--max-new-tokens", "60"];
    const { done } = await work.json(["generate", stories!, "--prompt", prompt, ...args]);
    expect(done["text"]).toMatch(/^[\w\s.,!?'"-]+$/);
    expect(done["kvBytes"]).toBeLessThan((done["fullKvBytes"] as number) / 2);
  });
});
