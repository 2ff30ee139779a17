/** @file `pareto llm evaluate`: what a language model still knows, by cache policy and budget. */
import { totalmem } from "node:os";
import type { Command } from "commander";
import { fullVariant, namedVariants, type Variant } from "../../../llm/eval/variants.ts";
import { evaluate } from "../../../llm/eval/evaluate.ts";
import { maxSequencesFor } from "../../../llm/eval/maxSequences.ts";
import { POLICY_NAMES, type PolicyName } from "../../../llm/kv/choosePolicy.ts";
import { openModel } from "../../../llm/load/openModel.ts";
import { openRunner } from "../../../llm/runner/openRunner.ts";
import { writeBudgetReport, type BudgetReport } from "../../../report/budgetReport.ts";
import { createRunFolder, defaultRunPath, writeJson } from "../../../run/runFolder.ts";
import { configOf, evalReport, valuesOf, type EvalFlags } from "./evaluationReport.ts";
import { EVAL_TASK_NAMES, evalTaskOf, refuseUnused, shippedEvalModel } from "./evalTask.ts";
import { newCommand, withOutput, type CommonFlags } from "../../command.ts";
import { withDefault } from "../../options/compute.ts";
import {
  policyOf,
  runnerOptions,
  withKvTuning,
  withRunnerOptions,
  type KvTuningFlags,
} from "../../options/languageModel.ts";
import { formatTable, type Output } from "../../output.ts";
import { nameList, oneOf, positiveNumber, wholeNumber } from "../../options/values.ts";

interface Flags extends CommonFlags, KvTuningFlags, EvalFlags {
  tokenizer?: string;
  maxSeqs?: number;
  maxMinutes: number;
  out?: string;
}

const POLICIES: readonly PolicyName[] = [
  "window",
  "streaming",
  "h2o",
  "keyformer",
  "tova",
  "snapkv",
  "random",
];

/** The command. */
export function command(): Command {
  const command = newCommand(
    "evaluate",
    "Measure a language model against the budget of its KV cache: right answers of a task, or the likelihood of a text, for every policy and budget, with 95 % bootstrap intervals and a report. All policies get the same texts, read in the same way.",
  )
    .argument(
      "[model]",
      "a model's folder, or a llama2.c .bin file with its tokenizer beside it (default: one that comes with Pareto: recall-rotary for tasks, shakespeare for perplexity)",
    )
    .option(
      "--task <name>",
      `what is measured: ${EVAL_TASK_NAMES.join(", ")}`,
      oneOf("--task", EVAL_TASK_NAMES),
      "recall",
    )
    .option(
      "--protocol <when>",
      "whether a policy knows the question when it chooses what to keep: in-prompt (the question ends the prompt and comes once more after it), or after (default: in-prompt)",
      oneOf("--protocol", ["in-prompt", "after"]),
    )
    .addOption(
      withDefault(
        "--kv <policies>",
        `policies between commas: ${POLICY_NAMES.join(", ")}; the full cache is always measured`,
        policyList,
        [...POLICIES],
        POLICIES.join(","),
      ),
    )
    .addOption(
      withDefault(
        "--budgets <percents>",
        "shares of the prompt that stay, in percent, between commas",
        budgetList,
        Array.from({ length: 10 }, (_, i) => (i + 1) / 10),
        "10,20,30,40,50,60,70,80,90,100",
      ),
    )
    .option(
      "--context <n>",
      "tokens of a task's text, with question and answer; of perplexity's prompt (default: 1024, perplexity 512)",
      wholeNumber("--context", 1),
    )
    .option(
      "--scored-tokens <n>",
      "perplexity: tokens after the prompt",
      wholeNumber("--scored-tokens", 1),
      512,
    )
    .option("--items <n>", "texts at most", wholeNumber("--items", 1), 500)
    .option("--seeds <n>", "seeds of noise, for policies that draw", wholeNumber("--seeds", 1), 3)
    .option("--seed <n>", "of the task's texts", wholeNumber("--seed", 0), 1)
    .option("--text <file>", "perplexity: the text, which the model should not have been trained on")
    .option(
      "--tokenizer <path>",
      "another tokenizer than the one that lies with the model: a tokenizer.json or a folder with one, or llama2.c's",
    )
    .option("--max-seqs <n>", "texts at a time (default: as many as fit)", wholeNumber("--max-seqs", 1, 4096))
    .option(
      "--max-minutes <n>",
      "then no further round of texts begins; what was measured counts",
      positiveNumber("--max-minutes"),
      10,
    )
    .option("--out <dir>", "folder of the report, new or empty (default: runs/DATE-TIME-eval-TASK)");
  return withRunnerOptions(withKvTuning(command)).action((model: string | undefined, flags: Flags) =>
    withOutput(flags, (out) => run(out, model ?? shippedEvalModel(flags.task), flags)),
  );
}

function policyList(text: string): PolicyName[] {
  return nameList(text).map(oneOf("--kv", POLICY_NAMES));
}

function budgetList(text: string): number[] {
  const percent = positiveNumber("--budgets", 100);
  const shares = nameList(text).map((part) => percent(part.replace(/%$/, "")) / 100);
  return [...new Set(shares)].sort((a, b) => a - b);
}

async function run(out: Output, path: string, flags: Flags): Promise<void> {
  refuseUnused(flags);
  const variants = armsOf(flags);
  const opened = await openModel(path, flags.tokenizer);
  try {
    const { name, config } = opened.files;
    const task = await evalTaskOf(opened, flags);
    const folder = await createRunFolder(flags.out ?? defaultRunPath(["eval", flags.task]), {
      command: "llm evaluate",
      config: { model: path, ...configOf(flags, task) },
      seed: flags.seed,
    });
    const { device, dtype } = flags;
    const memoryBytes = device === "cpu" ? totalmem() : await gpuBytes();
    const maxSequences = Math.min(
      task.items,
      flags.maxSeqs ?? maxSequencesFor(config, { ...task, device, memoryBytes, ...(dtype && { dtype }) }),
    );
    const onLoad = (done: number, total: number, unit: string) =>
      out.onEvent({ event: "progress", task: "load", done, total, unit, rate: null });
    const runner = await openRunner(opened.files, {
      ...runnerOptions(flags),
      maxSequences,
      onProgress: onLoad,
    });
    try {
      const { items, measure, item } = task;
      const found = await evaluate(runner, {
        measure,
        item,
        items,
        variants,
        seeds: flags.seeds,
        maxSeconds: 60 * flags.maxMinutes,
        onProgress: (done, total) =>
          out.onEvent({ event: "progress", task: "evaluate", done, total, unit: "texts", rate: null }),
      });
      const report = evalReport(name, found, flags, task);
      await writeJson(folder.file("evaluation.json"), { ...report, values: valuesOf(found) });
      await writeBudgetReport(folder.file("report.html"), report);
      await folder.setStatus("done");
      tell(out, report, folder.path);
    } finally {
      await runner.dispose();
    }
  } finally {
    await opened.files.close();
  }
}

function armsOf(flags: Flags): Variant[] {
  const variants = namedVariants(flags.kv, flags.budgets, (kv, ratioOfPrompt, decoded) =>
    policyOf({ ...flags, kv, kvBudget: { ratioOfPrompt } }, decoded),
  );
  return [fullVariant, ...variants];
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

function tell(out: Output, report: BudgetReport, folder: string): void {
  const { measure, full, points, warnings, items } = report;
  for (const message of warnings)
    out.onEvent({ event: "notice", level: "warning", code: "LLM_EVAL", message });
  const shown = (mean: number) => (measure === "accuracy" ? (100 * mean).toFixed(1) : mean.toFixed(3));
  const policies = [...new Set(points.map(({ policy }) => policy))];
  const budgets = [...new Set(points.map(({ budget }) => budget!))];
  const rows = policies.map((policy) => [
    policy,
    ...budgets.map((budget) =>
      shown(points.find((point) => point.policy === policy && point.budget === budget)!.mean),
    ),
  ]);
  const unit = measure === "accuracy" ? "right, %" : "nats/token";
  out.result(`${report.title}; ${report.subtitle}`);
  out.result(`full cache ${shown(full.mean)} (${shown(full.low)} to ${shown(full.high)})\n`);
  if (rows.length > 0)
    out.result(formatTable([unit, ...budgets.map((share) => `${Number((100 * share).toFixed(1))} %`)], rows));
  out.result(`\nreport: ${folder}/report.html`);
  out.json({ event: "done", folder, items, measure, full, points, warnings });
}
