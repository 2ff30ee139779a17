/** @file Training of language models: they learn, can be stopped and resumed, end by the clock, and open everywhere. */
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { full } from "../../../../src/llm/kv/policies/full.ts";
import { openModel } from "../../../../src/llm/load/openModel.ts";
import { openRunner } from "../../../../src/llm/runner/openRunner.ts";
import { taskData } from "../../../../src/llm/training/taskData.ts";
import { textData } from "../../../../src/llm/training/textData.ts";
import { trainLm, type TrainLmOptions } from "../../../../src/llm/training/trainLm.ts";
import type { LmData } from "../../../../src/llm/training/lmData.ts";
import type { RunEvent } from "../../../../src/run/events.ts";
import { TEXT, TINY_FAMILIES, tinyRecipe } from "../../../support/llm/tinyRecipes.ts";

let folder: string;
let text: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pareto-lm-"));
  text = join(folder, "text.txt");
  await writeFile(text, TEXT);
});
afterAll(() => rm(folder, { recursive: true }));

const where = { device: "cpu", threads: 1, precision: "float32" } as const;
/** What is trained, and how a run of this name is made. */
const job = (
  name: string,
  { config, ...rest }: { config?: object; [option: string]: unknown },
): TrainLmOptions =>
  ({
    directory: join(folder, name),
    ...(config && { config: { ...where, ...config } }),
    ...rest,
  }) as TrainLmOptions;

/** −ln p of the tokens that count in the first texts of each group, as a runner of the saved model finds it. */
async function lossOf(model: string, data: LmData): Promise<number[]> {
  const { files } = await openModel(model);
  const runner = await openRunner(files, { device: "cpu", threads: 1 });
  const losses: number[] = [];
  for (const group of data.validation) {
    let [sum, count] = [0, 0];
    for (let index = 0; index < group.texts; index++) {
      const tokens = new Int32Array(group.length);
      const targets = new Int32Array(group.length);
      group.fill(index, tokens, targets);
      runner.begin(0, { policies: () => full(), maxNewTokens: group.length });
      for (const [i, token] of tokens.entries()) {
        const logits =
          i === 0
            ? await runner.prefill([{ sequence: 0, tokens: [token] }])
            : await runner.decode([{ sequence: 0, token }]);
        if (targets[i]! < 0) continue;
        const most = logits.reduce((a, b) => Math.max(a, b));
        const log = most + Math.log(logits.reduce((total, x) => total + Math.exp(x - most), 0));
        sum += log - logits[targets[i]!]!;
        count++;
      }
    }
    losses.push(sum / count);
  }
  await runner.dispose();
  await files.close();
  return losses;
}

describe.each(TINY_FAMILIES)("a tiny %s", (family) => {
  test("learns a text, and its saved model says the same as it did in training", async () => {
    const recipe = tinyRecipe(family, "text");
    const events: RunEvent[] = [];
    const result = await trainLm(
      job(`text-${family}`, {
        config: { recipe, paths: [text] },
        onEvent: (event: RunEvent) => events.push(event),
      }),
    );
    const losses = events.flatMap((e) => (e.event === "metrics" && e.part === "train" ? [e.logLoss] : []));
    expect(losses[0]).toBeGreaterThan(3);
    expect(losses.at(-1)).toBeLessThan(2.2);
    expect(result).toMatchObject({ finished: true, steps: 60, tokens: 8 * 30 * (16 + 32), bestStep: 60 });
    expect(result.validation!.groups[0]!.accuracy).toBeGreaterThan(0.4);
    const data = await textData([text], 280, recipe);
    const [loss] = await lossOf(result.model!, data);
    expect(loss).toBeCloseTo(result.validation!.loss, 4);
  });
});

test("a model learns to give the one value that a text holds, and is saved with the tasks' words", async () => {
  const stages = [{ length: 16, batchSize: 32, steps: 240 }];
  const validation = { everySteps: 120, texts: 16, length: 16, tasks: ["recall" as const] };
  const recipe = tinyRecipe("llama", "tasks", { stages, validation });
  const events: RunEvent[] = [];
  const onEvent = (event: RunEvent) => events.push(event);
  const result = await trainLm(job("tasks", { config: { recipe, paths: [] }, onEvent }));
  const [recall] = result.validation!.groups;
  expect(recall!.loss).toBeLessThan(0.7 * Math.log(100));
  const [loss] = await lossOf(result.model!, taskData(recipe));
  expect(loss).toBeCloseTo(recall!.loss, 4);
  const { tokenizer, files } = await openModel(result.model!);
  expect(tokenizer.decode(tokenizer.encode("river bada 17"))).toBe("river bada 17");
  await files.close();
});

describe("a run", () => {
  const recipe = tinyRecipe("gpt2", "text", { dropout: 0.1 });
  const weights = async (name: string) => {
    const files = await readdir(join(folder, name, "checkpoints", "last"));
    const tensors = files.find((file) => file.endsWith(".safetensors"))!;
    return readFile(join(folder, name, "checkpoints", "last", tensors));
  };

  test("that is stopped and resumed ends with the same weights, bit for bit", async () => {
    const config = { recipe, paths: [text] };
    await trainLm(job("whole", { config }));
    const stop = new AbortController();
    const onEvent = (event: RunEvent) => {
      if (event.event === "metrics" && event.part === "train" && event.step >= 20) stop.abort();
    };
    const stopped = await trainLm(job("parts", { config, onEvent, signal: stop.signal }));
    expect(stopped).toMatchObject({ finished: false, model: null });
    expect(stopped.steps).toBeLessThan(40);
    const result = await trainLm(job("parts", { resume: {} }));
    expect(result).toMatchObject({ finished: true, steps: 60 });
    expect((await weights("parts")).equals(await weights("whole"))).toBe(true);
  });

  test("ends by the clock with a model, its learning rate fallen", async () => {
    const stages = [{ length: 16, batchSize: 4, steps: 1_000_000 }];
    const long = tinyRecipe("llama", "text", { stages });
    const result = await trainLm(
      job("clock", { config: { recipe: long, paths: [text] }, maxMinutes: 2 / 60 }),
    );
    expect(result.finished).toBe(true);
    expect(result.steps).toBeLessThan(100_000);
    expect(result.trainSeconds).toBeLessThan(10);
    expect((await stat(join(result.model!, "model.safetensors"))).size).toBeGreaterThan(1000);
  });

  test("refuses to go on with another text", async () => {
    const own = join(folder, "own.txt");
    await writeFile(own, TEXT);
    const stop = AbortSignal.abort();
    await trainLm(job("changed", { config: { recipe, paths: [own] }, signal: stop }));
    await writeFile(own, `${TEXT}more`);
    await expect(trainLm(job("changed", { resume: {} }))).rejects.toMatchObject({ code: "RESUME_DATA" });
  });

  test("tells which texts it lacks or cannot use, and leaves no folder behind", async () => {
    const run = (kind: "text" | "tasks", paths: string[]) =>
      trainLm(job("none", { config: { recipe: tinyRecipe("llama", kind), paths } }));
    await expect(run("text", [])).rejects.toMatchObject({ code: "LLM_TEXT_MISSING" });
    await expect(run("tasks", [text])).rejects.toMatchObject({ code: "LLM_TEXT_UNUSED" });
    const short = join(folder, "short.txt");
    await writeFile(short, "too short");
    await expect(run("text", [short])).rejects.toMatchObject({ code: "LLM_TEXT_SHORT" });
    const validation = { everySteps: 1, texts: 2, length: 64, tasks: ["delayed-recall" as const] };
    const recipe = tinyRecipe("llama", "tasks", { validation });
    const lacking = trainLm(job("none", { config: { recipe, paths: [] } }));
    await expect(lacking).rejects.toMatchObject({ code: "LLM_TASK_LENGTH" });
    await expect(stat(join(folder, "none"))).rejects.toMatchObject({ code: "ENOENT" });
  });
});
