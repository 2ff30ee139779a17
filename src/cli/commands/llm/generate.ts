/** @file `pareto llm generate`: a language model continues a text, or many, with a cache that may evict. */
import type { Command } from "commander";
import { ParetoError } from "../../../base/errors.ts";
import { openModel, type OpenedModel } from "../../../llm/load/openModel.ts";
import { shippedModelPath } from "../../../llm/shippedModels.ts";
import { openRunner } from "../../../llm/runner/openRunner.ts";
import { formatCount } from "../../../base/format.ts";
import { newCommand, withOutput, type CommonFlags } from "../../command.ts";
import { DecisionsFile } from "./decisionsFile.ts";
import { type ChoiceFlags, searchText, streamText, type Text, writeBatch } from "./generateTexts.ts";
import {
  policyOf,
  type RunnerFlags,
  runnerOptions,
  withKvOptions,
  withKvTuning,
  withRunnerOptions,
} from "../../options/languageModel.ts";
import { endingEarly } from "../../interrupt.ts";
import type { Output } from "../../output.ts";
import { readBatch, readPrompt } from "./prompts.ts";
import { positiveNumber, wholeNumber } from "../../options/values.ts";

/** Texts that a batch holds at a time unless told otherwise. */
const BATCH_SEQUENCES = 8;

interface Flags extends CommonFlags, ChoiceFlags, RunnerFlags {
  prompt?: string;
  batch?: string;
  maxSeqs?: number;
  maxNewTokens: number;
  tokenizer?: string;
  decisions?: string;
}

/** The command. */
export function command(): Command {
  const command = newCommand(
    "generate",
    "Continue a text, or many, with a language model, token by token. --kv bounds the memory of keys and values: a policy chooses which tokens stay in the cache.",
  )
    .argument(
      "[model]",
      "a folder as Hugging Face publishes it (config.json, safetensors, tokenizer.json) of a Llama, Mistral, Qwen2, Qwen3, GPT-2, GPT-J or MPT, or a llama2.c .bin file with its tokenizer beside it (default: a small model that comes with Pareto and writes like Shakespeare's plays)",
    )
    .option("--prompt <text>", "the text to continue; - is standard input, @FILE a file")
    .option(
      "--batch <file>",
      'many texts: JSON lines such as {"prompt": "…", "id": 1, "max_new_tokens": 64, "seed": 1}, of which all but the prompt may be left out; - is standard input. A JSON line comes out for each, in their order',
    )
    .option(
      "--max-seqs <n>",
      `texts of a batch that are continued at a time; when one is over, the next one enters (default: ${BATCH_SEQUENCES})`,
      wholeNumber("--max-seqs", 1, 4096),
    )
    .option("--max-new-tokens <n>", "tokens at most", wholeNumber("--max-new-tokens", 1), 128)
    .option(
      "--tokenizer <path>",
      "another tokenizer than the one that lies with the model: a tokenizer.json or a folder with one, or llama2.c's",
    )
    .option(
      "--temperature <t>",
      "what logits are divided by before a token is drawn; 0 takes the most probable one",
      temperature,
      0,
    )
    .option("--top-k <n>", "draw from the n most probable tokens only", wholeNumber("--top-k", 1))
    .option(
      "--top-p <p>",
      "draw from the most probable tokens that together reach this probability",
      positiveNumber("--top-p", 1),
      1,
    )
    .option(
      "--beams <n>",
      "search for a probable text with so many beams, in place of taking one token after the other",
      wholeNumber("--beams", 1, 256),
      1,
    )
    .option("--seed <n>", "of drawn tokens and of the policy's noise", wholeNumber("--seed", 0), 1);
  withKvTuning(withKvOptions(command)).option(
    "--decisions <file>",
    "write what the policy keeps and evicts, a JSON line for each decision",
  );
  return withRunnerOptions(command).action((model: string | undefined, flags: Flags) =>
    withOutput(flags, (out) => generate(out, model ?? shippedModelPath("shakespeare"), flags)),
  );
}

/** Zero or a positive number. */
function temperature(text: string): number {
  return Number(text) === 0 && text.trim() !== "" ? 0 : positiveNumber("--temperature")(text);
}

/** @throws ParetoError `CLI_OPTION` for options that would be ignored, or a prompt too many or too few */
function refuseUnused(flags: Flags): void {
  const refuse = (where: string, message: string, fix: string): never => {
    throw new ParetoError({ code: "CLI_OPTION", where, message, fix });
  };
  const { prompt, batch, maxSeqs, temperature, topK, topP, beams, decisions } = flags;
  if ((prompt === undefined) === (batch === undefined)) {
    const got = prompt === undefined ? "neither" : "both";
    refuse("--prompt", `either --prompt or --batch says what to continue, got ${got}`, "Give one of them.");
  }
  if (maxSeqs !== undefined && batch === undefined)
    refuse(
      "--max-seqs",
      `a single text has one sequence, got --max-seqs ${maxSeqs}`,
      "Leave it out, or give --batch.",
    );
  const choosing = topK === undefined ? "--top-p" : "--top-k";
  if (temperature === 0 && (topK !== undefined || topP !== 1)) {
    refuse(
      choosing,
      "it chooses among tokens to draw from, and nothing is drawn, got --temperature 0",
      "Add a temperature, e.g. --temperature 1, or leave the option out.",
    );
  }
  if (beams > 1 && temperature > 0)
    refuse("--beams", `beams draw no tokens, got --temperature ${temperature}`, "Leave one of them out.");
  if (beams > 1 && decisions !== undefined) {
    refuse(
      "--decisions",
      `each beam has decisions of its own, got --beams ${beams}`,
      "Leave one of them out.",
    );
  }
}

async function generate(out: Output, model: string, flags: Flags): Promise<void> {
  refuseUnused(flags);
  // What the policy refuses is told before anything is opened.
  policyOf(flags, flags.maxNewTokens);
  const isBatch = flags.batch !== undefined;
  const prompts = isBatch ? await readBatch(flags.batch!) : [await readPrompt(flags.prompt!)];
  const opened = await openModel(model, flags.tokenizer);
  try {
    const texts = prompts.map(({ prompt, maxNewTokens = flags.maxNewTokens, ...rest }) => ({
      ...rest,
      maxNewTokens,
      prompt: opened.tokenizer.encode(prompt),
    }));
    for (const text of texts) checkLength(opened, text, flags);
    warnOfLength(out, opened, texts);
    const sequences = Math.min(flags.maxSeqs ?? BATCH_SEQUENCES, texts.length);
    const runner = await openRunner(opened.files, {
      ...runnerOptions(flags),
      maxSequences: sequences * flags.beams,
      onProgress: (done, total, unit) =>
        out.onEvent({ event: "progress", task: "load", done, total, unit, rate: null }),
    });
    const decisions = flags.decisions === undefined ? null : new DecisionsFile(flags.decisions);
    try {
      // So that the rates are those of the texts; the first ones of a batch are read together.
      await runner.prepare(...texts.slice(0, sequences).map(({ prompt }) => prompt.length));
      out.close();
      await endingEarly((signal) => {
        const run = { out, opened, runner, flags, signal, onDecision: decisions?.add };
        if (isBatch) return writeBatch(run, texts);
        return flags.beams === 1 ? streamText(run, texts[0]!) : searchText(run, texts[0]!);
      });
    } finally {
      decisions?.close();
      await runner.dispose();
    }
  } finally {
    await opened.files.close();
  }
}

/** @throws ParetoError LLM_PROMPT for an empty text, LLM_CONTEXT for one that the model has not the positions for */
function checkLength(
  { files }: OpenedModel,
  { prompt, maxNewTokens, where }: Text & { where: string },
  flags: Flags,
): void {
  if (prompt.length === 0) throw withoutPrompt(where);
  const { maxPositions, hasLearnedPositions } = files.config;
  if (!hasLearnedPositions) return;
  // The last token that is chosen is never read; where positions are numbered anew, decoding needs no further ones.
  const isRenumbered = policyOf(flags, maxNewTokens).positions === "new";
  const tokens = prompt.length + (isRenumbered ? 0 : maxNewTokens - 1);
  if (tokens <= maxPositions) return;
  throw new ParetoError({
    code: "LLM_CONTEXT",
    where,
    message: `the model has learned ${maxPositions} positions, got a text of up to ${tokens} tokens`,
    fix: "Shorten the prompt, generate fewer tokens, or take a policy that numbers positions anew.",
  });
}

/** Warns of a text that is longer than what the model was made for. */
function warnOfLength(out: Output, { files }: OpenedModel, texts: readonly Text[]): void {
  const { maxPositions, hasLearnedPositions } = files.config;
  const longest = texts.reduce(
    (most, { prompt, maxNewTokens }) => Math.max(most, prompt.length + maxNewTokens),
    0,
  );
  if (hasLearnedPositions || longest <= maxPositions) return;
  out.onEvent({
    event: "notice",
    level: "warning",
    code: "LLM_CONTEXT",
    message: `the text may come to ${formatCount(longest)} tokens, but the model was made for ${formatCount(maxPositions)}`,
  });
}

function withoutPrompt(where: string): ParetoError {
  return new ParetoError({
    code: "LLM_PROMPT",
    where,
    message: "this model needs at least one token to go on from, got an empty prompt",
    fix: "Give it a text.",
  });
}
