/** @file What `pareto llm evaluate` asks of a model: the texts of a task, or pieces of the user's text. */
import { ParetoError } from "../../../base/errors.ts";
import { textTokens } from "../../../llm/eval/textTokens.ts";
import { textItems } from "../../../llm/eval/textItems.ts";
import type { OpenedModel } from "../../../llm/load/openModel.ts";
import type { DecoderConfig } from "../../../llm/models/decoder.ts";
import type { Protocol, TaskItem } from "../../../llm/tasks/task.ts";
import { TASK_NAMES, taskNamed, type TaskName } from "../../../llm/tasks/tasks.ts";
import { shippedModelPath } from "../../../llm/shippedModels.ts";
import { WORDS } from "../../../llm/tasks/words.ts";

/** Names of what can be measured. */
export const EVAL_TASK_NAMES = [...TASK_NAMES, "perplexity"] as const;

/** The model that comes with Pareto for a measurement: one that knows the tasks, or one of text. */
export function shippedEvalModel(task: (typeof EVAL_TASK_NAMES)[number]): string {
  return shippedModelPath(task === "perplexity" ? "shakespeare" : "recall-rotary");
}

/** The options that say what is asked. */
export interface EvalTaskValues {
  readonly task: (typeof EVAL_TASK_NAMES)[number];
  readonly protocol: Protocol | undefined;
  readonly context: number | undefined;
  readonly scoredTokens: number;
  readonly items: number;
  readonly seed: number;
  readonly text: string | undefined;
}

/** What is asked of the model. */
export interface EvalTask {
  measure: "answers" | "likelihoods";
  item: (index: number) => TaskItem;
  items: number;
  /** Tokens of a text, and how many of them are decoded. */
  tokens: number;
  decoded: number;
  /** Tokens that the model was made for. */
  maxTokens: number;
  config: Record<string, string | number>;
}

/** A task for any model. */
type Made = Omit<EvalTask, "maxTokens">;

/** @throws ParetoError CLI_OPTION for options that the task has no use for, or that it lacks */
export function refuseUnused({ task, text, protocol }: EvalTaskValues): void {
  const refuse = (where: string, message: string, fix: string) =>
    new ParetoError({ code: "CLI_OPTION", where, message, fix });
  if (task === "perplexity") {
    if (text === undefined)
      throw refuse(
        "--text",
        "perplexity needs a text, got none",
        "Give --text a file that the model was not trained on.",
      );
    if (protocol !== undefined)
      throw refuse("--protocol", `perplexity asks no question, got ${protocol}`, "Leave --protocol out.");
  } else if (text !== undefined) {
    throw refuse(
      "--text",
      `the texts of ${task} are made, got a file`,
      "Leave --text out, or give --task perplexity.",
    );
  }
  if (task === "delayed-recall" && protocol === "in-prompt")
    throw refuse(
      "--protocol",
      "delayed recall is asked for after the prompt, got in-prompt",
      "Leave --protocol out.",
    );
}

/**
 * Makes the texts.
 * @throws ParetoError LLM_TASK_VOCABULARY, LLM_TASK_LENGTH, LLM_TEXT_LENGTH, LLM_CONTEXT, LLM_TEXT_ENCODING,
 *   FILE_MISSING, FILE_REFUSED
 */
export async function evalTaskOf(opened: OpenedModel, values: EvalTaskValues): Promise<EvalTask> {
  const { config } = opened.files;
  const made =
    values.task === "perplexity" ? await textTask(opened, values) : recallTask(opened, values, values.task);
  requirePositions(config, made.tokens);
  return { ...made, maxTokens: config.maxPositions };
}

async function textTask({ tokenizer }: OpenedModel, values: EvalTaskValues): Promise<Made> {
  const { items, scoredTokens } = values;
  const promptTokens = values.context ?? 512;
  const pieces = textItems(await textTokens(tokenizer, values.text!), { promptTokens, scoredTokens }, items);
  return {
    measure: "likelihoods",
    item: (index) => pieces[index]!,
    items: pieces.length,
    tokens: promptTokens + scoredTokens,
    decoded: scoredTokens,
    config: { promptTokens, scoredTokens },
  };
}

function recallTask({ files, tokenizer }: OpenedModel, values: EvalTaskValues, task: TaskName): Made {
  requireWords(tokenizer, files.name);
  const { items, seed, context: tokens = 1024 } = values;
  const protocol = task === "delayed-recall" ? "after" : (values.protocol ?? "in-prompt");
  const { item } = taskNamed(task, protocol);
  const { forced, answer } = item(0, { tokens, seed });
  return {
    measure: "answers",
    item: (index) => item(index, { tokens, seed }),
    items,
    tokens,
    decoded: forced.length + answer.length,
    config: { tokens, protocol },
  };
}

/** @throws ParetoError LLM_TASK_VOCABULARY for a model that does not speak the tasks' words */
function requireWords(tokenizer: OpenedModel["tokenizer"], name: string): void {
  const tokens = tokenizer.encode(WORDS.join(" "));
  if (tokens.length === WORDS.length && tokens.every((token, i) => token === i)) return;
  throw new ParetoError({
    code: "LLM_TASK_VOCABULARY",
    where: name,
    message: `the tasks are made of ${WORDS.length} words of their own, one token each, got ${tokens.length} tokens`,
    fix: "Take a model that `pareto llm train --recipe recall-rotary` trained, or give --task perplexity with a text.",
  });
}

/** @throws ParetoError LLM_CONTEXT for texts of more positions than the model has learned */
function requirePositions({ hasLearnedPositions, maxPositions }: DecoderConfig, tokens: number): void {
  if (!hasLearnedPositions || tokens <= maxPositions) return;
  throw new ParetoError({
    code: "LLM_CONTEXT",
    where: "--context",
    message: `the model has learned ${maxPositions} positions, got texts of ${tokens}`,
    fix: "Take a shorter --context.",
  });
}
