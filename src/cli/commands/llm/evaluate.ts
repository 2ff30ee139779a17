/** @file `pareto llm evaluate`: what a language model still knows, by cache policy and budget. */
import { totalmem } from "node:os";
import { z } from "zod";
import { fullVariant, variantsOf, type Variant } from "../../../llm/eval/variants.ts";
import { evaluate, type Evaluated } from "../../../llm/eval/evaluate.ts";
import {
  evaluationResult,
  evaluationWarnings,
  type EvaluationResult,
} from "../../../llm/eval/evaluationResult.ts";
import { budgetText, evaluationTitle, meanUnit, shownMean } from "../../../llm/eval/report.ts";
import { maxSequencesFor } from "../../../llm/eval/maxSequences.ts";
import type { Protocol } from "../../../llm/tasks/task.ts";
import { kvPolicies } from "../../../llm/kv/kvPolicies.ts";
import { openModel, type OpenedModel } from "../../../llm/load/openModel.ts";
import { LlmEngine } from "../../../llm/engine/llmEngine.ts";
import type { RunContext } from "../../../run/context.ts";
import { recordRun } from "../../../run/recordRun.ts";
import { defaultRunPath } from "../../../run/runFolder.ts";
import { reportRun } from "../../runReport.ts";
import { EVAL_TASK_NAMES, evalTaskOf, refuseUnused, shippedEvalModel, type EvalTask } from "./evalTask.ts";
import { choice, decimal, listOf, wholeNumber } from "../../../base/optionSchemas.ts";
import { defineCommand, type CommandInput } from "../../command.ts";
import { modelOperand, runnerOptions, runnerSettings, tokenizer } from "../../options/languageModel.ts";
import { policyTextList } from "../../options/policy.ts";
import { inGroup, listWords, option, text, words } from "../../options/spec.ts";
import { formatTable, type Output } from "../../output.ts";

const POLICIES = ["window", "streaming", "h2o", "keyformer", "tova", "snapkv", "random"];

const PROTOCOLS = {
  "in-prompt": "the question ends the prompt and comes once more after it",
  after: "the question comes after the prompt",
} as const satisfies Record<Protocol, string>;

/** Shares of the prompt, from percents. */
const budgets = listOf(
  z.preprocess(
    (given) => (typeof given === "string" ? given.replace(/%$/, "") : given),
    decimal({ above: 0, max: 100 }),
  ),
).transform((percents) => [...new Set(percents.map((percent) => percent / 100))].sort((a, b) => a - b));
const BUDGETS = Array.from({ length: 10 }, (_, i) => (i + 1) / 10);

const operands = {
  model: modelOperand(
    "recall-rotary for tasks, which comes with Pareto; shakespeare for perplexity, which a checkout has",
  ),
};
const options = {
  ...inGroup("Task:", {
    task: option("name", choice(EVAL_TASK_NAMES), {
      meaning: `What is measured: ${EVAL_TASK_NAMES.join(", ")}`,
      default: "recall",
    }),
    protocol: option("when", words(PROTOCOLS), {
      meaning: `Whether a policy sees the question before it chooses what to keep: ${listWords(PROTOCOLS)}`,
      defaultText: "in-prompt",
    }),
    context: option("n", wholeNumber({ min: 1 }), {
      meaning: "Tokens of a task's text, with question and answer, or of perplexity's prompt",
      defaultText: "1024, for perplexity 512",
    }),
    scoredTokens: option("n", wholeNumber({ min: 1 }), {
      meaning: "Tokens after the prompt that perplexity is measured on",
      default: 512,
    }),
    items: option("n", wholeNumber({ min: 1 }), { meaning: "Most texts", default: 500 }),
    seed: option("n", wholeNumber({ min: 0 }), { meaning: "Seed of the task's texts", default: 1 }),
    text: option("file", text, {
      meaning: "Text of --task perplexity, which the model should not have been trained on",
      defaultText: "none",
    }),
    tokenizer,
  }),
  ...inGroup("KV cache:", {
    kv: option("policies", policyTextList("--kv"), {
      meaning: `Policies between commas: ${kvPolicies.names.join(", ")}, with options behind a colon, e.g. window,keyformer:noise=none,sinks=4; the full cache is always measured`,
      default: [...POLICIES],
    }),
    budgets: option("percents", budgets, {
      meaning: "Shares of the prompt that stay, between commas",
      unit: "percent",
      default: BUDGETS,
      defaultText: "10,20,30,40,50,60,70,80,90,100",
    }),
    seeds: option("n", wholeNumber({ min: 1 }), {
      meaning: "Seeds of noise, for policies that draw",
      default: 3,
    }),
  }),
  ...runnerOptions,
  maxSeqs: option("n", wholeNumber({ min: 1, max: 4096 }), {
    meaning: "Texts at a time",
    defaultText: "as many as fit in memory",
  }),
  maxMinutes: option("n", decimal({ above: 0 }), {
    meaning: "Time after which no further round of texts begins; what was measured counts",
    unit: "minutes",
    default: 10,
  }),
  out: option("dir", text, {
    meaning: "Folder of the report, new or empty",
    defaultText: "runs/DATE-TIME-eval-TASK",
    writes: "folder",
  }),
};
type Flags = CommandInput<typeof operands & typeof options>["values"];

/** The command. */
export const command = defineCommand({
  summary:
    "Measure a language model against the budget of its KV cache: right answers of a task, or the likelihood of a text, for every policy and budget, with 95 % bootstrap intervals and a report. All policies get the same texts, read in the same way.",
  operands,
  options,
  run: (out, { values }) => run(out, values.model ?? shippedEvalModel(values.task), values),
});

async function run(out: Output, path: string, values: Flags): Promise<void> {
  refuseUnused(values);
  const variants = [fullVariant, ...variantsOf(values.kv, values.budgets, "--kv")];
  const opened = await openModel(path, values.tokenizer);
  for (const notice of opened.files.notices) out.onEvent(notice);
  try {
    const { warnings, ...result } = await recordRun(
      {
        directory: values.out ?? defaultRunPath(["eval", values.task]),
        prepare: () => evalTaskOf(opened, values),
        start: (task) => ({
          command: "llm evaluate",
          config: { model: path, ...configOf(values, task) },
          seed: values.seed,
        }),
        async work(task, context, folder) {
          const found = await measure(context, opened, values, { task, variants });
          const { protocol } = task.config;
          const subject = {
            model: opened.files.name,
            task: protocol === undefined ? values.task : `${values.task}, ${protocol}`,
            ...task,
          };
          const result = evaluationResult(folder.path, subject, found);
          const warnings = evaluationWarnings(subject, result);
          for (const message of warnings)
            context.onEvent({ event: "notice", level: "warning", code: "LLM_EVAL", message });
          return { ...result, warnings };
        },
      },
      { onEvent: out.onEvent },
    );
    show(out, result);
    await reportRun(out, result.run);
    const { run: folder, items, full, points } = result;
    out.json({ event: "done", folder, items, measure: result.measure, full, points, warnings });
  } finally {
    await opened.files.close();
  }
}

/** The options that a result depends on. */
function configOf({ task, kv, budgets, seeds, device, dtype }: Flags, made: EvalTask) {
  return {
    task,
    ...made.config,
    kv: kv.join(","),
    budgets: budgets.map((share) => 100 * share).join(","),
    seeds,
    device,
    ...(dtype && { dtype }),
  };
}

async function measure(
  context: RunContext,
  { files }: OpenedModel,
  values: Flags,
  { task, variants }: { task: EvalTask; variants: readonly Variant[] },
): Promise<Evaluated> {
  const { device, dtype } = values;
  const memoryBytes = device === "cpu" ? totalmem() : await gpuBytes();
  const limits = { ...task, device, memoryBytes, ...(dtype && { dtype }) };
  const maxSequences = Math.min(task.items, values.maxSeqs ?? maxSequencesFor(files.config, limits));
  const engine = await context.span("load", () =>
    LlmEngine.open(files, {
      ...runnerSettings(values),
      maxSequences,
      onProgress: (done, total, unit) => context.progress("load", done, total, unit),
    }),
  );
  try {
    const { items, measure, item } = task;
    const { seeds, maxMinutes } = values;
    return await context.span("evaluate", () =>
      evaluate(engine, {
        measure,
        item,
        items,
        variants,
        seeds,
        maxSeconds: 60 * maxMinutes,
        onProgress: (done, total) => context.progress("evaluate", done, total, "texts"),
      }),
    );
  } finally {
    await engine.dispose();
  }
}

async function gpuBytes(): Promise<number> {
  const { CudaContext } = await import("../../../engine/targets/cuda/index.ts");
  const context = CudaContext.open();
  try {
    return context.memory().freeBytes;
  } finally {
    context.dispose();
  }
}

function show(out: Output, result: EvaluationResult): void {
  const { full, points } = result;
  const policies = [...new Set(points.map(({ policy }) => policy))];
  const budgets = [...new Set(points.map(({ budget }) => budget!))];
  const rows = policies.map((policy) => [
    policy,
    ...budgets.map((budget) =>
      shownMean(result, points.find((point) => point.policy === policy && point.budget === budget)!.mean),
    ),
  ]);
  const { title, subtitle } = evaluationTitle(result);
  out.result(`${title}; ${subtitle}`);
  const [mean, low, high] = [full.mean, full.low, full.high].map((value) => shownMean(result, value));
  out.result(`full cache ${mean} (${low} to ${high})\n`);
  if (rows.length > 0) out.result(`${formatTable([meanUnit(result), ...budgets.map(budgetText)], rows)}\n`);
}
