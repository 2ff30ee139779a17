/**
 * @file What evicting costs in quality: the shipped models on every task under every policy and budget, a text's
 * likelihood, Keyformer with one option changed at a time, a story that goes on. Prints progress, tables and, as its
 * last line, everything as one line of JSON. `docs/results.md` and the README's plot are made from that.
 *
 * Run: `node bench/llmQuality.ts [--out FILE]`. Options:
 * - `--models DIR` (models) with recall-rotary, recall-alibi, recall-learned and shakespeare; those missing are left out
 * - `--text FILE`: the text that `shakespeare` was trained on; its last tenth, which training did not see, is measured
 * - `--stories FILE`: stories260K.bin of llama2.c, with its tokenizer beside it
 * - `--device cpu|cuda` (cpu), `--dtype NAME`, `--threads N`, `--seats N` texts at a time
 * - `--only tasks,perplexity,ablations,stories`
 * - `--minutes N` (2.5): shared by all exams; each ends after a whole round of texts, so that all policies get the same
 * - `--items N` (512) texts an exam at most, `--seeds N` (3), `--tokens N` (1024)
 * - `--small`: a few short texts, which only shows that it all runs; `--commit ID` where there is no checkout
 */
import { access, readFile, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { describeMachine } from "../src/base/environment.ts";
import { fullArm, namedArms, type Arm } from "../src/llm/eval/arms.ts";
import { Bootstrap } from "../src/llm/eval/bootstrap.ts";
import { evaluate, type ArmResult } from "../src/llm/eval/evaluate.ts";
import { textItems } from "../src/llm/eval/textItems.ts";
import type { LlmDtype } from "../src/llm/runner/dtype.ts";
import { keyformer } from "../src/llm/kv/policies/keyformer.ts";
import type { PolicyName } from "../src/llm/kv/choosePolicy.ts";
import { openModel } from "../src/llm/load/openModel.ts";
import { openRunner } from "../src/llm/runner/openRunner.ts";
import type { LlmRunner } from "../src/llm/runner/runner.ts";
import type { Protocol, TaskItem } from "../src/llm/tasks/task.ts";
import { taskNamed, type TaskName } from "../src/llm/tasks/tasks.ts";
import type { Tokenizer } from "../src/llm/tokenizer/tokenizer.ts";
import { describeGpu } from "./cuda/gpu.ts";
import { qualityTables } from "./llmQuality/qualityTables.ts";
import type { QualityFile, QualityPoint, QualityResult } from "./llmQuality/qualityFile.ts";
import { storyResults } from "./llmQuality/stories.ts";
import { variantArms } from "./llmQuality/variants.ts";
import { commit } from "./machine.ts";

const { values } = parseArgs({
  options: {
    models: { type: "string", default: join(dirname(import.meta.dirname), "models") },
    text: { type: "string" },
    stories: { type: "string" },
    device: { type: "string", default: "cpu" },
    dtype: { type: "string" },
    threads: { type: "string" },
    seats: { type: "string" },
    only: { type: "string", default: "tasks,perplexity,ablations,stories" },
    minutes: { type: "string", default: "2.5" },
    items: { type: "string" },
    seeds: { type: "string" },
    tokens: { type: "string" },
    small: { type: "boolean", default: false },
    commit: { type: "string" },
    out: { type: "string" },
  },
});

const device = values.device === "cuda" ? "cuda" : "cpu";
const { small } = values;
const seats = Number(values.seats ?? (device === "cuda" ? 64 : 8));
const items = Number(values.items ?? (small ? 8 : 512));
const seeds = Number(values.seeds ?? (small ? 2 : 3));
const tokens = Number(values.tokens ?? (small ? 192 : 1024));
const only = new Set(values.only.split(","));
const POLICIES: readonly PolicyName[] = [
  "random",
  "window",
  "streaming",
  "knorm",
  "tova",
  "h2o",
  "snapkv",
  "keyformer",
];
const BUDGETS = small ? [0.2, 0.5] : [0.1, 0.2, 0.3, 0.5, 0.7, 0.9];
/** Of ablations. Every token of a text is decoded, so text takes its time. */
const variantBudgets = (task: Exam["task"]) => (small || task === "text" ? [0.3] : [0.2, 0.5]);
/** Seconds between two words on how far an exam is. */
const TOLD_SECONDS = 10;

/** Something to be measured, and its share of the time. */
interface Exam {
  model: string;
  task: TaskName | "text";
  protocol: Protocol | null;
  weight: number;
  group: "tasks" | "perplexity" | "ablations";
}

const task = (model: string, task: TaskName, protocol: Protocol, weight: number): Exam => ({
  model,
  task,
  protocol,
  weight,
  group: "tasks",
});

/** Everything, each model's exams together. */
const EXAMS: readonly Exam[] = [
  task("recall-rotary", "recall", "in-prompt", 3),
  task("recall-rotary", "recall", "after", 3),
  task("recall-rotary", "copy", "in-prompt", 1.5),
  task("recall-rotary", "variable", "in-prompt", 1.5),
  task("recall-rotary", "late-riser", "after", 1.5),
  { model: "recall-rotary", task: "recall", protocol: "in-prompt", weight: 2, group: "ablations" },
  task("recall-alibi", "recall", "in-prompt", 1.5),
  task("recall-alibi", "recall", "after", 1.5),
  task("recall-learned", "recall", "in-prompt", 1.5),
  task("recall-learned", "recall", "after", 1.5),
  { model: "shakespeare", task: "text", protocol: null, weight: 3, group: "perplexity" },
  { model: "shakespeare", task: "text", protocol: null, weight: 3, group: "ablations" },
];

const isThere = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );
const say = (text: string) => console.error(text);

/** A model, ready; `work` may not keep it. */
async function withModel<T>(
  path: string,
  work: (runner: LlmRunner, tokenizer: Tokenizer) => Promise<T>,
): Promise<T> {
  const { files, tokenizer } = await openModel(path);
  try {
    const runner = await openRunner(files, {
      device,
      seats,
      ...(values.dtype !== undefined && { dtype: values.dtype as LlmDtype }),
      ...(values.threads !== undefined && { threads: Number(values.threads) }),
    });
    try {
      return await work(runner, tokenizer);
    } finally {
      await runner.dispose();
    }
  } finally {
    await files.close();
  }
}

/** Every policy and budget; the late riser also under the authors' masks, which have no place for it. */
function curveArms(exam: Exam): Arm[] {
  const arms = [fullArm, ...namedArms(POLICIES, BUDGETS)];
  const more = (policy: string, options: Partial<Parameters<typeof keyformer>[0]>) =>
    BUDGETS.map((budget): Arm => ({
      policy,
      budget,
      make: (horizon) => keyformer({ budget: { ratioOfPrompt: budget }, horizon, ...options }),
    }));
  arms.push(...more("keyformer, no noise", { noise: "none" }));
  if (exam.task === "late-riser") arms.push(...more("the authors' masks", { mode: "reference-mask" }));
  return arms;
}

/** The texts of an exam; null where what it needs was not given. */
async function textsOf(
  exam: Exam,
  tokenizer: Tokenizer,
): Promise<{ item: (index: number) => TaskItem; count: number } | null> {
  if (exam.task !== "text") {
    const made = taskNamed(exam.task, exam.protocol!);
    return { item: (index) => made.item(index, { tokens, seed: 1 }), count: items };
  }
  if (values.text === undefined) return null;
  const text = await readFile(values.text, "utf8");
  const held = tokenizer.encode(text.slice(Math.floor(0.9 * text.length)));
  const sizes = { promptTokens: tokens / 2, scoredTokens: tokens / 2 };
  const pieces = textItems(held, sizes, Math.min(items, seats));
  return { item: (index) => pieces[index]!, count: pieces.length };
}

const withoutValues = ({ values: _, ...arm }: ArmResult): QualityPoint => arm;

/** Each variant's difference, text by text, from the first one at the same budget. */
function againstDefault(arms: readonly ArmResult[]): QualityPoint[] {
  const bootstrap = new Bootstrap(arms[0]!.values.length);
  return arms.map((arm) => {
    const base = arms.find(({ budget }) => budget === arm.budget)!;
    return { ...withoutValues(arm), fromDefault: bootstrap.difference(arm.values, base.values) };
  });
}

const file: QualityFile = {
  bench: "llm-quality",
  machine: {
    cpu: describeMachine().cpu,
    cores: describeMachine().cores,
    memoryBytes: describeMachine().memoryBytes,
    node: process.version,
    date: new Date().toISOString(),
    commit: values.commit ?? commit(),
  },
  gpu: device === "cuda" ? await describeGpu() : null,
  device,
  dtype: values.dtype ?? (device === "cuda" ? "bf16" : "f32"),
  command: `node bench/llmQuality.ts ${process.argv
    .slice(2)
    .map((arg) => basename(arg))
    .join(" ")}`.trim(),
  curves: [],
  ablations: [],
  stories: null,
};

const ends = performance.now() + 60_000 * Number(values.minutes);
const secondsLeft = () => Math.max(0, (ends - performance.now()) / 1000);
const wanted = EXAMS.filter(({ group }) => only.has(group));
const there = new Set<string>();
for (const model of new Set(wanted.map((exam) => exam.model))) {
  if (await isThere(join(values.models, model, "config.json"))) there.add(model);
  else say(`${model} is left out: it is not in ${values.models}`);
}
const plan = wanted.filter(
  ({ model, task }) => there.has(model) && (task !== "text" || values.text !== undefined),
);

for (const model of there) {
  await withModel(join(values.models, model), async (runner, tokenizer) => {
    for (const exam of plan.filter((one) => one.model === model)) {
      const texts = await textsOf(exam, tokenizer);
      if (!texts) continue;
      const later = plan.slice(plan.indexOf(exam)).reduce((sum, { weight }) => sum + weight, 0);
      const started = performance.now();
      let told = started;
      const { arms, items } = await evaluate(runner, {
        measure: exam.task === "text" ? "likelihoods" : "answers",
        item: texts.item,
        items: texts.count,
        arms: exam.group === "ablations" ? variantArms(variantBudgets(exam.task)) : curveArms(exam),
        seeds,
        maxSeconds: (secondsLeft() * exam.weight) / later,
        onProgress: (done) => {
          if (performance.now() - told < 1000 * TOLD_SECONDS) return;
          told = performance.now();
          say(`  ${exam.task} (${exam.group}): ${done} texts, all ways of caching counted`);
        },
      });
      const seconds = (performance.now() - started) / 1000;
      const result: QualityResult = {
        model,
        task: exam.task,
        protocol: exam.protocol,
        tokens,
        items,
        seconds,
        arms: exam.group === "ablations" ? againstDefault(arms) : arms.map(withoutValues),
      };
      (exam.group === "ablations" ? file.ablations : file.curves).push(result);
      say(
        `${model}, ${exam.task} ${exam.protocol ?? ""} (${exam.group}): ${items} texts in ${seconds.toFixed(1)} s, full cache ${arms[0]!.mean.toFixed(3)}`,
      );
    }
  });
}
if (values.stories !== undefined && only.has("stories")) {
  file.stories = await withModel(values.stories, (runner, tokenizer) =>
    storyResults(runner, tokenizer.encode(""), POLICIES, seeds),
  );
  say(`${basename(values.stories)}: ${file.stories.results.length} stories`);
}
for (const line of qualityTables(file)) console.log(line);
const json = JSON.stringify(file, (_, value: unknown) =>
  typeof value === "number" ? Number(value.toPrecision(6)) : value,
);
if (values.out !== undefined) await writeFile(values.out, `${json}\n`);
console.log(json);
