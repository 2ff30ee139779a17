/** @file `pareto llm evaluate` as a user runs it, on tiny models that know nothing. */
import { readFile, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeTinyLlama2c } from "../support/llm/tinyLlama2c.ts";
import { writeWordModel } from "../support/llm/wordModel.ts";
import { Workspace } from "./cli.ts";

let work: Workspace;
beforeAll(async () => {
  work = await Workspace.create();
  await writeWordModel(work.path("words"));
  await writeTinyLlama2c(work.directory);
  await writeFile(work.path("text.txt"), "abc abc bca ab abc bc abc a ".repeat(40));
});
afterAll(() => work.remove());

const SMALL = ["--items", "6", "--max-seqs", "4", "--budgets", "50,20%", "--threads", "1"];

describe("pareto llm evaluate", () => {
  test("measures a task for every policy and budget, and writes figures and a report", async () => {
    const args = [
      "llm",
      "evaluate",
      "words",
      "--task",
      "copy",
      "--context",
      "48",
      "--kv",
      "h2o,keyformer:noise=gaussian,sinks=1,full",
    ];
    const { done } = await work.json([...args, "--seeds", "2", "--out", "copy", ...SMALL]);
    expect(done).toMatchObject({ items: 6, measure: "accuracy", full: { policy: "full", budget: null } });
    const points = done["points"] as { policy: string; budget: number; seeds: number; mean: number }[];
    expect(points.map(({ policy, budget, seeds }) => [policy, budget, seeds])).toEqual([
      ["h2o", 0.2, 1],
      ["h2o", 0.5, 1],
      ["keyformer:noise=gaussian,sinks=1", 0.2, 2],
      ["keyformer:noise=gaussian,sinks=1", 0.5, 2],
    ]);
    // What this model says is noise.
    expect(done["warnings"]).toEqual([expect.stringContaining("with a full cache")]);
    const saved = JSON.parse(await readFile(work.path("copy", "result.json"), "utf8"));
    expect(saved.values).toHaveLength(5);
    expect(saved.values[3].values).toHaveLength(6);
    expect(await readFile(work.path("copy", "report.html"), "utf8")).toContain("copy, in-prompt");
  });

  test("measures the likelihood of a text, the same each time", async () => {
    const args = [
      "llm",
      "evaluate",
      "tiny.bin",
      "--task",
      "perplexity",
      "--text",
      "text.txt",
      "--context",
      "12",
    ];
    const more = ["--scored-tokens", "10", "--kv", "random,window", ...SMALL];
    const first = await work.json([...args, ...more, "--out", "first"]);
    const again = await work.json([...args, ...more, "--out", "again", "--max-seqs", "1"]);
    expect(first.done).toMatchObject({ items: 6, measure: "nll", warnings: [] });
    const of = ({ done }: typeof first) =>
      (done["points"] as { mean: number }[]).map(({ mean }) => Number(mean.toFixed(4)));
    expect(of(again)).toEqual(of(first));
    expect(new Set(of(first)).size).toBeGreaterThan(1);
  });

  test("takes the model that comes with Pareto, which knows the task", async () => {
    const args = ["llm", "evaluate", "--context", "256", "--kv", "window", "--out", "shipped"];
    const { done } = await work.json([...args, ...SMALL]);
    expect(done).toMatchObject({ full: { mean: 1 }, warnings: [] });
    expect((done["points"] as { mean: number }[])[0]!.mean).toBeLessThan(1);
  });

  test("stops in time and says so", async () => {
    const args = [
      "llm",
      "evaluate",
      "words",
      "--context",
      "32",
      "--kv",
      "window",
      "--out",
      "short",
      "--max-minutes",
      "1e-6",
    ];
    const { done } = await work.json([...args, ...SMALL]);
    expect(done["items"]).toBe(4);
    expect(done["warnings"]).toContainEqual(expect.stringContaining("time was up after 4 of 6 texts"));
  });

  test.each([
    ["a task in words that the model lacks", ["tiny.bin"], "LLM_TASK_VOCABULARY"],
    ["perplexity of nothing", ["tiny.bin", "--task", "perplexity"], "CLI_OPTION"],
    ["a text for a task", ["words", "--text", "text.txt"], "CLI_OPTION"],
    [
      "delayed recall in the prompt",
      ["words", "--task", "delayed-recall", "--protocol", "in-prompt"],
      "CLI_OPTION",
    ],
    ["an option that a policy has not", ["words", "--kv", "window:recent=50%"], "POLICY_OPTION"],
    ["a budget of a policy beside those of all", ["words", "--kv", "h2o:budget=50%"], "POLICY_OPTION"],
    ["a budget above all", ["words", "--budgets", "120"], "CLI_OPTION"],
    ["a text too short for its question", ["words", "--context", "5"], "LLM_TASK_LENGTH"],
    [
      "a text file too short",
      ["tiny.bin", "--task", "perplexity", "--text", "text.txt", "--context", "4000"],
      "LLM_TEXT_LENGTH",
    ],
  ])("refuses %s", async (_, args, code) => {
    const { status, stderr } = await work.run(["llm", "evaluate", ...args, "--out", "refused"]);
    expect(stderr).toContain(`error ${code}`);
    expect(status).toBe(2);
  });
});
