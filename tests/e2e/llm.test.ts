/** @file `pareto llm generate` as a user runs it, on tiny models and, where there is one, on a real checkpoint. */
import { cp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { KvDecisionEvent } from "../../src/llm/kv/decisionEvent.ts";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeWordModel } from "../support/llm/wordModel.ts";
import { writeTinyLlama2c } from "../support/llm/tinyLlama2c.ts";
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
  await writeFile(work.path("weights.safetensors"), "");
});
afterAll(() => work.remove());

describe("pareto llm generate", () => {
  test("writes the text to stdout and how it went to stderr", async () => {
    const { status, stdout, stderr } = await work.run([
      "llm",
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
    const { lines, done } = await work.json(["llm", "generate", bin, "--prompt", "@prompt.txt", ...args]);
    const again = await work.json(["llm", "generate", bin, "--prompt", PROMPT, ...args]);
    const tokens = (of: typeof lines) =>
      of.filter((line) => line.event === "token").map((line) => line["token"]);
    expect(tokens(lines)).toHaveLength(done["newTokens"] as number);
    expect(tokens(again.lines)).toEqual(tokens(lines));
    expect(done["text"]).toBe(again.done["text"]);
  });

  test("keeps the cache at its budget, with the bytes of budget and one spare slot", async () => {
    const run = async (...args: string[]) =>
      (await work.json(["llm", "generate", bin, "--prompt", PROMPT, "--max-new-tokens", "20", ...args])).done;
    const full = await run();
    const done = await run("--kv", "keyformer:budget=6,recent=50%");
    const bytesPerToken = 2 * 2 * 2 * 4 * 4;
    expect(full["evictedTokens"]).toBe(0);
    expect(full["fullKvBytes"]).toBe((full["tokensSeen"] as number) * bytesPerToken);
    expect(done["kvBytes"]).toBe((6 + 1) * bytesPerToken);
    expect(done["evictedTokens"]).toBe((done["tokensSeen"] as number) - 6);
  });

  test("reads a model folder with tokenizer.json", async () => {
    await cp(join(golden, "llama"), work.path("llama"), { recursive: true });
    await cp(join(golden, "tokenizers/letters.json"), work.path("llama/tokenizer.json"));
    const { done } = await work.json([
      "llm",
      "generate",
      "llama",
      "--prompt",
      "the cat",
      "--max-new-tokens",
      "5",
    ]);
    expect(done).toMatchObject({ model: "llama", kv: "full" });
    expect(done["newTokens"]).toBeGreaterThan(0);
  });

  test("says where a tokenizer is not the model's", async () => {
    await cp(join(golden, "llama"), work.path("other"), { recursive: true });
    await cp(join(golden, "tokenizers/llama2.json"), work.path("llama2.json"));
    const args = ["--prompt", "the cat", "--tokenizer", "llama2.json"];
    const { status, stderr } = await work.run(["llm", "generate", "other", ...args]);
    expect(status).toBe(2);
    expect(stderr).toContain("error LLM_TOKENIZER");
    expect(stderr).toMatch(/the model knows \d+ tokens, got token \d+/);
  });

  test("writes a JSON line for each text of a batch, in their order, each as it would be alone", async () => {
    const prompts = [PROMPT, "abc", "bca bca", "c"];
    const lines = prompts.map((prompt, i) =>
      JSON.stringify({ prompt, max_new_tokens: 12 - 3 * i, ...(i === 1 && { id: "second", seed: 9 }) }),
    );
    await writeFile(work.path("batch.jsonl"), `${lines.join("\n")}\n\n`);
    const drawn = ["--temperature", "1.3", "--seed", "4", "--kv", "keyformer:budget=6"];
    const batch = ["llm", "generate", bin, "--batch", "batch.jsonl", "--max-seqs", "2", ...drawn];
    const { status, stdout } = await work.run(batch);
    expect(status).toBe(0);
    const texts = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(texts.map(({ id }) => id)).toEqual([1, "second", 3, 4]);
    for (const [i, prompt] of prompts.entries()) {
      const seed = i === 1 ? "9" : "4";
      const own = ["--max-new-tokens", `${12 - 3 * i}`, ...drawn, "--seed", seed];
      const { done } = await work.json(["llm", "generate", bin, "--prompt", prompt, ...own]);
      const { text, finishReason, promptTokens, newTokens } = done;
      expect(texts[i]).toMatchObject({ text, finishReason, promptTokens, newTokens });
    }
    const { done } = await work.json(batch);
    expect(done).toMatchObject({ texts: 4, kv: "keyformer:budget=6" });
  });

  test("searches with beams, alone and in a batch", async () => {
    const run = async (beams: string) =>
      (
        await work.json([
          "llm",
          "generate",
          bin,
          "--prompt",
          PROMPT,
          "--max-new-tokens",
          "8",
          "--beams",
          beams,
        ])
      ).done;
    const found = await run("4");
    expect(found["newTokens"]).toBe(8);
    expect(found["score"]).toBeLessThan(0);
    await writeFile(work.path("one.jsonl"), JSON.stringify({ prompt: PROMPT, max_new_tokens: 8 }));
    const { stdout } = await work.run(["llm", "generate", bin, "--batch", "one.jsonl", "--beams", "4"]);
    expect(JSON.parse(stdout)).toMatchObject({ id: 1, text: found["text"], score: found["score"] });
  });

  test("writes each decision of the policy", async () => {
    const policy = ["--kv", "keyformer:budget=6,noise=none,evictEvery=2"];
    const text = ["llm", "generate", bin, "--prompt", PROMPT, "--max-new-tokens", "5"];
    const { done } = await work.json([...text, ...policy, "--decisions", "decisions.jsonl"]);
    const decisions = (await readFile(work.path("decisions.jsonl"), "utf8"))
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as KvDecisionEvent);
    for (const { event, kind, policy, subject } of decisions)
      expect({ event, kind, policy, subject }).toEqual({
        event: "decision",
        kind: "kv.evict",
        policy: "keyformer",
        subject: "1",
      });
    const kept = decisions.filter(({ chose }) => "keep" in chose);
    expect(kept.map(({ saw }) => [saw.layer, saw.kvHead])).toEqual([
      [0, 0],
      [0, 1],
      [1, 0],
      [1, 1],
    ]);
    for (const { step, chose } of kept) {
      expect(step).toBe(0);
      expect(chose).toEqual({ keep: expect.toSatisfy((positions: number[]) => positions.length === 6) });
    }
    // Four tokens are read, and every second one evicts.
    const evicted = decisions.filter(({ chose }) => "evict" in chose).map(({ step }) => step);
    expect(new Set(evicted)).toEqual(new Set([2, 4]));
    expect(done["evictedTokens"]).toBe((done["promptTokens"] as number) - 6 + evicted.length / 4);
  });

  test("ends a text after the token at hand on Ctrl-C, and says what it came to", async () => {
    const endless = ["--max-new-tokens", "1000000", "--kv", "window:budget=8"];
    const { child, done } = work.start(["llm", "generate", bin, "--prompt", PROMPT, "--json", ...endless]);
    await new Promise<void>((resolve) => {
      child.stdout!.on("data", (text: string) => text.includes('"event":"token"') && resolve());
    });
    child.kill("SIGINT");
    const { status, stdout } = await done;
    const last = JSON.parse(stdout.trimEnd().split("\n").at(-1)!) as Record<string, unknown>;
    // The model may have said its end token before the signal came.
    expect([status, last["finishReason"]]).toSatisfy((pair: unknown[]) =>
      [
        [130, "abort"],
        [0, "stop"],
      ].some(([a, b]) => pair[0] === a && pair[1] === b),
    );
    expect(last).toMatchObject({ event: "done", kvBytes: (8 + 1) * 2 * 2 * 2 * 4 * 4 });
  });

  test("reads prompts and batches behind a byte order mark, with any line ends", async () => {
    await writeFile(work.path("marked.txt"), `\uFEFF${PROMPT}\r\n`);
    const args = ["--max-new-tokens", "4"];
    const marked = (await work.json(["llm", "generate", bin, "--prompt", "@marked.txt", ...args])).done;
    const plain = (await work.json(["llm", "generate", bin, "--prompt", PROMPT, ...args])).done;
    expect(marked["text"]).toBe(plain["text"]);
    await writeFile(work.path("marked.jsonl"), `\uFEFF${JSON.stringify({ prompt: PROMPT })}\r\n \r\n`);
    const { status, stdout } = await work.run(["llm", "generate", bin, "--batch", "marked.jsonl", ...args]);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ id: 1, text: plain["text"] });
  });

  test("takes the defaults of generation_config.json, says so in a line, and options override them", async () => {
    const folder = work.path("defaults");
    await writeWordModel(folder);
    const config = {
      do_sample: true,
      temperature: 50,
      top_k: 0,
      repetition_penalty: 1.2,
      max_new_tokens: 9,
      num_beams: 3,
    };
    await writeFile(join(folder, "generation_config.json"), JSON.stringify(config));
    const generate = (...args: string[]) =>
      work.run(["llm", "generate", folder, "--prompt", "the key of red is blue .", "--seed", "3", ...args]);
    const byModel = await generate();
    expect(byModel.status).toBe(0);
    const said = byModel.stderr.split("\n").filter((line) => line.includes("generation_config.json"));
    expect(said).toEqual([
      expect.stringContaining("not done here: num_beams 3"),
      expect.stringMatching(
        /temperature 50, repetition penalty 1.2, at most 9 new tokens; .*--temperature 0/,
      ),
    ]);
    const args = [
      "--temperature",
      "50",
      "--top-k",
      "0",
      "--repetition-penalty",
      "1.2",
      "--max-new-tokens",
      "9",
    ];
    const same = await generate(...args);
    expect(same.stdout).toBe(byModel.stdout);
    expect(same.stderr).not.toContain("by the model's");
    const greedy = ["--temperature", "0", "--repetition-penalty", "1", "--max-new-tokens", "9"];
    const first = await generate(...greedy);
    await rm(join(folder, "generation_config.json"));
    expect((await generate("--max-new-tokens", "9")).stdout).toBe(first.stdout);
    expect(first.stdout).not.toBe(byModel.stdout);
  });

  test("names the byte of a prompt that is not UTF-8", async () => {
    await writeFile(work.path("latin.txt"), Buffer.from("abc caf\xe9 abc", "latin1"));
    const { status, stderr } = await work.run(["llm", "generate", bin, "--prompt", "@latin.txt"]);
    expect(status).toBe(2);
    expect(stderr).toContain("error LLM_TEXT_ENCODING");
    expect(stderr).toContain("got byte 0xe9 at 7");
  });

  test("names the line of a batch that is no prompt", async () => {
    await writeFile(work.path("bad.jsonl"), '{"prompt": "a"}\n{"prompt": "b", "max_tokens": 3}\n');
    const { status, stderr } = await work.run(["llm", "generate", bin, "--batch", "bad.jsonl"]);
    expect(status).toBe(2);
    expect(stderr).toContain("error LLM_BATCH_LINE");
    expect(stderr).toContain("bad.jsonl:2");
  });

  test("refuses half of a surrogate pair in a prompt of a batch", async () => {
    await writeFile(work.path("half.jsonl"), '{"prompt": "a"}\n{"prompt": "b\\ud83d"}\n');
    const { status, stderr } = await work.run(["llm", "generate", bin, "--batch", "half.jsonl"]);
    expect(status).toBe(2);
    expect(stderr).toContain("error LLM_BATCH_LINE: prompt: half of a surrogate pair is no character");
    expect(stderr).toContain("half.jsonl:2");
  });

  test.each([
    ["no prompt", ["tiny.bin"], "CLI_OPTION"],
    ["a prompt and a batch", ["tiny.bin", "--prompt", "a", "--batch", "b.jsonl"], "CLI_OPTION"],
    ["sequences for one text", ["tiny.bin", "--prompt", "a", "--max-seqs", "2"], "CLI_OPTION"],
    ["drawing with beams", ["tiny.bin", "--prompt", "a", "--beams", "2", "--temperature", "1"], "CLI_OPTION"],
    ["decisions of beams", ["tiny.bin", "--prompt", "a", "--beams", "2", "--decisions", "d"], "CLI_OPTION"],
    ["noise for a policy without", ["tiny.bin", "--prompt", "a", "--kv", "h2o:noise=none"], "POLICY_OPTION"],
    ["half precision on the cpu", ["tiny.bin", "--prompt", "a", "--dtype", "bf16"], "LLM_DTYPE"],
    ["a model that is not there", ["none", "--prompt", "a"], "FILE_MISSING"],
    ["a file that is a part of a model", ["weights.safetensors", "--prompt", "a"], "LLM_FILE_MISSING"],
    ["a prompt's file that is not there", ["tiny.bin", "--prompt", "@nobody"], "FILE_MISSING"],
    ["a folder that is no model", [".", "--prompt", "a"], "LLM_FILE_MISSING"],
    [
      "a budget for the full cache",
      ["tiny.bin", "--prompt", "a", "--kv", "full:budget=50%"],
      "POLICY_OPTION",
    ],
    ["a budget of no tokens", ["tiny.bin", "--prompt", "a", "--kv", "h2o:budget=0"], "KV_BUDGET"],
    ["a choice of tokens when none is drawn", ["tiny.bin", "--prompt", "a", "--top-p", "0.9"], "CLI_OPTION"],
    ["an unknown policy", ["tiny.bin", "--prompt", "a", "--kv", "fifo"], "POLICY_UNKNOWN"],
  ])("refuses %s", async (_, args, code) => {
    const { status, stderr } = await work.run(["llm", "generate", ...args]);
    expect(status).toBe(2);
    expect(stderr).toContain(`error ${code}`);
  });
});

describe.skipIf(stories === undefined)("stories260K (PARETO_STORIES)", () => {
  const START =
    "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big, red ball. She wanted to play with it, but it was too high.\nLily's mom said, \"Lily, let's go to the park.\" Lily was sad and didn't know what to do.";

  test("tells the published story", async () => {
    const { done } = await work.json([
      "llm",
      "generate",
      stories!,
      "--prompt",
      "",
      "--max-new-tokens",
      "200",
    ]);
    expect(done["text"]).toSatisfy((text: string) => text.startsWith(START));
    expect(done).toMatchObject({ newTokens: 200, evictedTokens: 0 });
  });

  test("goes on in words with half of the cache", async () => {
    const prompt = START.slice(0, 120);
    const args = ["--kv", "keyformer:budget=50%", "--max-new-tokens", "60"];
    const { done } = await work.json(["llm", "generate", stories!, "--prompt", prompt, ...args]);
    expect(done["text"]).toMatch(/^[\w\s.,!?'"-]+$/);
    expect(done["kvBytes"]).toBeLessThan((done["fullKvBytes"] as number) / 2);
  });
});
