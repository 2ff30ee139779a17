/**
 * @file What evicting costs in quality: the shipped models on every task under every policy and budget, a text's
 * likelihood, Keyformer with one option changed at a time, a story that goes on.
 *
 * All measurements share a time limit, and each ends after a whole round of texts, so that all policies get the same.
 */
import { access, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { fullVariant, variantsOf, type Variant } from "../../src/llm/eval/variants.ts";
import { Bootstrap } from "../../src/llm/eval/bootstrap.ts";
import { evaluate, type VariantResult } from "../../src/llm/eval/evaluate.ts";
import { textItems } from "../../src/llm/eval/textItems.ts";
import type { LlmDtype } from "../../src/llm/runner/dtype.ts";
import { keyformer } from "../../src/llm/kv/policies/keyformer.ts";
import { openModel } from "../../src/llm/load/openModel.ts";
import { LlmEngine } from "../../src/llm/engine/llmEngine.ts";
import type { Protocol, TaskItem } from "../../src/llm/tasks/task.ts";
import { taskNamed, type TaskName } from "../../src/llm/tasks/tasks.ts";
import type { Tokenizer } from "../../src/llm/tokenizer/tokenizer.ts";
import type { QualityFile, QualityPoint } from "./qualityFile.ts";
import { storyResults } from "./stories.ts";
import { variantArms } from "./variants.ts";

/** Groups of measurements. */
export const QUALITY_GROUPS = ["tasks", "perplexity", "ablations", "stories"] as const;

/** What to measure, and how. */
export interface QualityOptions {
  /** Folder of the models; those that it lacks are left out. */
  models: string;
  /** The text that `shakespeare` was trained on; its last tenth, which training did not see, is measured. Null for none. */
  text: string | null;
  /** `stories260K.bin` of llama2.c, with its tokenizer beside it. Null for none. */
  stories: string | null;
  device: "cpu" | "cuda";
  /** Null for the device's own. */
  dtype: LlmDtype | null;
  threads: number;
  /** Texts at a time. */
  sequences: number;
  /** Of {@link QUALITY_GROUPS}. */
  only: readonly string[];
  /** Shared by all measurements. */
  minutes: number;
  /** Texts of a measurement at most. */
  items: number;
  seeds: number;
  /** Of a text. */
  tokens: number;
  /** Fewer budgets, which only shows that it all runs. */
  small: boolean;
  log: (line: string) => void;
}

/** What was measured. */
export type QualityFigures = Pick<QualityFile, "curves" | "ablations" | "stories">;

const POLICIES: readonly string[] = [
  "random",
  "window",
  "streaming",
  "knorm",
  "tova",
  "h2o",
  "snapkv",
  "keyformer",
];
/** Budgets of curves. */
const budgetsOf = ({ small }: QualityOptions) => (small ? [0.2, 0.5] : [0.1, 0.2, 0.3, 0.5, 0.7, 0.9]);
/** Of ablations. Every token of a text is decoded, so text takes its time. */
const variantBudgets = ({ small }: QualityOptions, task: Exam["task"]) =>
  small || task === "text" ? [0.3] : [0.2, 0.5];
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
  task("recall-rotary", "delayed-recall", "after", 1.5),
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

/** A model, ready; `work` may not keep it. */
async function withModel<T>(
  path: string,
  { device, sequences: maxSequences, dtype, threads }: QualityOptions,
  work: (engine: LlmEngine, tokenizer: Tokenizer) => Promise<T>,
): Promise<T> {
  const { files, tokenizer } = await openModel(path);
  try {
    const engine = await LlmEngine.open(files, {
      device,
      maxSequences,
      threads,
      ...(dtype !== null && { dtype }),
    });
    try {
      return await work(engine, tokenizer);
    } finally {
      await engine.dispose();
    }
  } finally {
    await files.close();
  }
}

/** Every policy and budget; delayed recall also under the authors' masks, which have no place for it. */
function curveArms(exam: Exam, budgets: readonly number[]): Variant[] {
  const arms = [fullVariant, ...variantsOf(POLICIES, budgets)];
  const more = (policy: string, options: Partial<Parameters<typeof keyformer>[0]>) =>
    budgets.map((budget): Variant => ({
      policy,
      budget,
      make: (horizon) => keyformer({ budget: { share: budget }, horizon, ...options }),
    }));
  arms.push(...more("keyformer, no noise", { noise: "none" }));
  if (exam.task === "delayed-recall") arms.push(...more("the authors' masks", { mode: "reference-mask" }));
  return arms;
}

/** The texts of an exam; null where what it needs was not given. */
async function textsOf(
  exam: Exam,
  tokenizer: Tokenizer,
  { text: path, tokens, items, sequences }: QualityOptions,
): Promise<{ item: (index: number) => TaskItem; count: number } | null> {
  if (exam.task !== "text") {
    const made = taskNamed(exam.task, exam.protocol!);
    return { item: (index) => made.item(index, { tokens, seed: 1 }), count: items };
  }
  if (path === null) return null;
  const text = await readFile(path, "utf8");
  const held = tokenizer.encode(text.slice(Math.floor(0.9 * text.length)));
  const sizes = { promptTokens: tokens / 2, scoredTokens: tokens / 2 };
  const pieces = textItems(held, sizes, Math.min(items, sequences));
  return { item: (index) => pieces[index]!, count: pieces.length };
}

const withoutValues = ({ values: _, ...arm }: VariantResult): QualityPoint => arm;

/** Each variant's difference, text by text, from the first one at the same budget. */
function againstDefault(arms: readonly VariantResult[]): QualityPoint[] {
  const bootstrap = new Bootstrap(arms[0]!.values.length);
  return arms.map((arm) => {
    const base = arms.find(({ budget }) => budget === arm.budget)!;
    return { ...withoutValues(arm), fromDefault: bootstrap.difference(arm.values, base.values) };
  });
}

/** Measures everything that was asked for and is there. */
export async function measureQuality(options: QualityOptions): Promise<QualityFigures> {
  const { models, text, stories, only, tokens, seeds, log } = options;
  const figures: QualityFigures = { curves: [], ablations: [], stories: null };
  const ends = performance.now() + 60_000 * options.minutes;
  const secondsLeft = () => Math.max(0, (ends - performance.now()) / 1000);
  const wanted = EXAMS.filter(({ group }) => only.includes(group));
  const there = new Set<string>();
  for (const model of new Set(wanted.map((exam) => exam.model))) {
    if (await isThere(join(models, model, "config.json"))) there.add(model);
    else log(`${model} is left out: it is not in ${models}`);
  }
  const plan = wanted.filter(({ model, task }) => there.has(model) && (task !== "text" || text !== null));
  for (const model of there) {
    await withModel(join(models, model), options, async (engine, tokenizer) => {
      for (const exam of plan.filter((one) => one.model === model)) {
        const texts = await textsOf(exam, tokenizer, options);
        if (!texts) continue;
        const later = plan.slice(plan.indexOf(exam)).reduce((sum, { weight }) => sum + weight, 0);
        const isAblation = exam.group === "ablations";
        const started = performance.now();
        let told = started;
        const { variants, items } = await evaluate(engine, {
          measure: exam.task === "text" ? "likelihoods" : "answers",
          item: texts.item,
          items: texts.count,
          variants: isAblation
            ? variantArms(variantBudgets(options, exam.task))
            : curveArms(exam, budgetsOf(options)),
          seeds,
          maxSeconds: (secondsLeft() * exam.weight) / later,
          onProgress: (done) => {
            if (performance.now() - told < 1000 * TOLD_SECONDS) return;
            told = performance.now();
            log(`  ${exam.task} (${exam.group}): ${done} texts, all ways of caching counted`);
          },
        });
        const seconds = (performance.now() - started) / 1000;
        (isAblation ? figures.ablations : figures.curves).push({
          model,
          task: exam.task,
          protocol: exam.protocol,
          tokens,
          items,
          seconds,
          arms: isAblation ? againstDefault(variants) : variants.map(withoutValues),
        });
        log(
          `${model}, ${exam.task} ${exam.protocol ?? ""} (${exam.group}): ${items} texts in ${seconds.toFixed(1)} s, full cache ${variants[0]!.mean.toFixed(3)}`,
        );
      }
    });
  }
  if (stories !== null && only.includes("stories")) {
    figures.stories = await withModel(stories, options, (engine, tokenizer) =>
      storyResults(engine, tokenizer.encode(""), POLICIES, seeds),
    );
    log(`${basename(stories)}: ${figures.stories.results.length} stories`);
  }
  return figures;
}
