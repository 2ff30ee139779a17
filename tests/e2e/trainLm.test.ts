/** @file `pareto llm train` as a user runs it: from a recipe to a model that the other commands open. */
import { readFile, stat, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TEXT, tinyRecipe } from "../support/llm/tinyRecipes.ts";
import { jsonLines, type JsonLine, Workspace } from "./cli.ts";

let work: Workspace;
let trained: { lines: JsonLine[]; done: JsonLine };
beforeAll(async () => {
  work = await Workspace.create();
  await writeFile(work.path("text.json"), JSON.stringify(tinyRecipe("llama", "text")));
  const stages = [{ length: 16, batchSize: 8, steps: 3000 }];
  await writeFile(work.path("tasks.json"), JSON.stringify(tinyRecipe("mpt", "tasks", { stages })));
  await writeFile(work.path("text.txt"), TEXT);
  await writeFile(work.path("lm"), "label,a\n1,2\n");
  const out = ["--out", "run", "--threads", "1"];
  trained = await work.json(["llm", "train", "text.txt", "--recipe", "text.json", ...out]);
});
afterAll(() => work?.remove());

describe("pareto llm train", () => {
  test("tells quality, size and speed, and writes a run folder with a report", async () => {
    const { lines, done } = trained;
    expect(done).toMatchObject({ finished: true, name: "tiny-llama", steps: 60, run: "run" });
    expect(done["perplexity"]).toBeCloseTo(Math.exp(done["loss"] as number), 6);
    expect(done["perplexity"]).toBeLessThan(20);
    expect(done["tokensPerSecond"]).toBeGreaterThan(0);
    expect(lines.some((line) => line.event === "metrics" && line["part"] === "validation")).toBe(true);
    const report = await readFile(work.path("run", "report.html"), "utf8");
    expect(report).toContain("tiny-llama");
    const result = JSON.parse(await readFile(work.path("run", "result.json"), "utf8")) as object;
    expect(result).toMatchObject({ finished: true, parameters: done["parameters"] });
  });

  test("makes a model that generate continues a text with", async () => {
    const args = ["llm", "generate", "run/model", "--prompt", "the quick brown", "--max-new-tokens", "4"];
    const { done } = await work.json([...args, "--threads", "1"]);
    expect(done["newTokens"]).toBe(4);
  });

  test("is stopped by the clock, and by Ctrl-C with a run to go on with", async () => {
    const recipe = ["llm", "train", "--recipe", "tasks.json", "--threads", "1"];
    const { done } = await work.json([...recipe, "--max-minutes", "0.01", "--out", "short"]);
    expect(done["steps"]).toBeLessThan(3000);
    await stat(work.path("short", "model", "tokenizer.json"));
    const { child, done: stopped } = work.start([...recipe, "--out", "stopped", "--json"]);
    child.stdout!.once("data", () => child.kill("SIGINT"));
    const { status, stdout, stderr } = await stopped;
    expect({ status, stderr }).toMatchObject({ status: 130 });
    expect(stderr).toContain("pareto llm train --resume stopped");
    expect(jsonLines(stdout).at(-1)).toMatchObject({ event: "done", finished: false });
    const resumed = await work.json(["llm", "train", "--resume", "stopped", "--max-minutes", "0.01"]);
    expect(resumed.done).toMatchObject({ finished: true });
  });

  test.each([
    [["llm", "train"], "--recipe recall-rotary"],
    [["llm", "train", "--recipe", "missing.json"], "FILE_MISSING"],
    [["llm", "train", "--recipe", "nonesuch"], "FILE_MISSING"],
    [["llm", "train", "--recipe", "text.txt"], "LLM_RECIPE"],
    [["llm", "train", "--recipe", "text.json"], "LLM_TEXT_MISSING"],
    [["llm", "train", "--resume", "run", "--recipe", "text.json"], "got --recipe"],
    [["llm", "train", "--recipe", "tasks.json", "--precision", "tf32"], "Add --device cuda"],
  ])("says what is wrong with %j", async (args, words) => {
    const { status, stderr } = await work.run(args);
    expect(status).toBe(2);
    expect(stderr).toContain(words);
  });

  test("is no command of another domain: `pareto recsys train lm` is a click log named lm", async () => {
    const { status, stderr } = await work.run(["recsys", "train", "lm"]);
    expect(status).toBe(2);
    expect(stderr).toContain("CLI_LABEL");
  });
});
