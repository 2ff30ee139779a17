/** @file `pareto llm generate`: a language model continues a text, or many, with a cache that may evict. */
import { z } from "zod";
import { ParetoError } from "../../../base/errors.ts";
import { openModel, type OpenedModel } from "../../../llm/load/openModel.ts";
import { shippedModelPath } from "../../../llm/shippedModels.ts";
import { LlmEngine } from "../../../llm/engine/llmEngine.ts";
import { formatCount } from "../../../base/format.ts";
import { decimal, wholeNumber } from "../../../base/optionSchemas.ts";
import { EventLog } from "../../../run/eventLog.ts";
import { defineCommand, type CommandInput } from "../../command.ts";
import { generationSettings, NEW_TOKENS, refuseIgnored } from "./generationSettings.ts";
import { searchText, streamText, type Text, writeBatch } from "./generateTexts.ts";
import {
  kvOption,
  modelOperand,
  policyOf,
  runnerOptions,
  runnerSettings,
  tokenizer,
} from "../../options/languageModel.ts";
import { inGroup, option, text } from "../../options/spec.ts";
import { endingEarly } from "../../interrupt.ts";
import type { Output } from "../../output.ts";
import { readBatch, readPrompt } from "./prompts.ts";

/** Texts of a batch that are continued at a time by default. */
const BATCH_SEQUENCES = 8;

const operands = {
  model: modelOperand("a small model that writes like Shakespeare's plays, which a checkout of Pareto has"),
};
const options = {
  ...inGroup("Text:", {
    prompt: option("text", z.string(), {
      meaning: "Text to continue; - is standard input, @FILE a file",
      defaultText: "none; it or --batch must be given",
    }),
    batch: option("file", text, {
      meaning:
        'Many texts: JSON lines such as {"prompt": "…", "id": 1, "max_new_tokens": 64, "seed": 1}, of which all but the prompt may be left out; - is standard input. A JSON line is written for each, in their order',
      defaultText: "none",
    }),
    maxSeqs: option("n", wholeNumber({ min: 1, max: 4096 }), {
      meaning: "Texts of a batch that are continued at a time; when one ends, the next one starts",
      defaultText: String(BATCH_SEQUENCES),
    }),
    maxNewTokens: option("n", wholeNumber({ min: 1 }), {
      meaning: "Most new tokens",
      defaultText: `the model's, or else ${NEW_TOKENS}`,
    }),
    tokenizer,
  }),
  ...inGroup("Sampling:", {
    temperature: option("t", decimal({ min: 0 }), {
      meaning: "What logits are divided by before a token is drawn; 0 takes the most probable token",
      defaultText: "the model's generation_config.json, or else 0",
    }),
    topK: option("n", wholeNumber({ min: 0 }), {
      meaning: "How many of the most probable tokens one is drawn from; 0 for all",
      defaultText: "the model's, or else 0",
    }),
    topP: option("p", decimal({ min: 0, max: 1 }), {
      meaning: "Probability that the most probable tokens, of which one is drawn, reach together",
      defaultText: "the model's, or else 1",
    }),
    minP: option("p", decimal({ min: 0, max: 1 }), {
      meaning: "Share of the most probable token's probability that a token needs to be drawn",
      defaultText: "the model's, or else 0",
    }),
    typicalP: option("p", decimal({ above: 0, max: 1 }), {
      meaning:
        "Probability that the tokens nearest to the expected information, of which one is drawn, reach together",
      defaultText: "the model's, or else 1",
    }),
    repetitionPenalty: option("x", decimal({ above: 0 }), {
      meaning: "What logits of tokens that the text has are divided by, or multiplied where negative",
      defaultText: "the model's, or else 1",
    }),
    beams: option("n", wholeNumber({ min: 1, max: 256 }), {
      meaning: "Beams that search for a probable text, in place of taking one token after the other",
      default: 1,
    }),
    seed: option("n", wholeNumber({ min: 0 }), {
      meaning: "Seed of drawn tokens and of the policy's noise",
      default: 1,
    }),
  }),
  ...inGroup("KV cache:", {
    kv: kvOption("Which tokens stay in the cache", "full"),
    decisions: option("file", text, {
      meaning: "File to write of what the policy keeps and evicts, a JSON line for each decision",
      defaultText: "none",
      writes: "file",
    }),
  }),
  ...runnerOptions,
};
type Flags = CommandInput<typeof operands & typeof options>["values"];

/** The command. */
export const command = defineCommand({
  summary:
    "Continue a text, or many, with a language model, token by token. --kv bounds the memory of keys and values: a policy chooses which tokens stay in the cache.",
  operands,
  options,
  run: (out, { values }) => generate(out, values.model ?? shippedModelPath("shakespeare"), values),
});

/** @throws ParetoError `CLI_OPTION` for options that would be ignored, or a prompt too many or too few */
function refuseUnused(values: Flags): void {
  const refuse = (where: string, message: string, fix: string): never => {
    throw new ParetoError({ code: "CLI_OPTION", where, message, fix });
  };
  const { prompt, batch, maxSeqs, beams, decisions } = values;
  if ((prompt === undefined) === (batch === undefined)) {
    const got = prompt === undefined ? "neither" : "both";
    refuse("--prompt", `either --prompt or --batch gives what to continue, got ${got}`, "Give one of them.");
  }
  if (maxSeqs !== undefined && batch === undefined)
    refuse(
      "--max-seqs",
      `a single text has one sequence, got --max-seqs ${maxSeqs}`,
      "Leave it out, or give --batch.",
    );
  refuseIgnored(values);
  if (beams > 1 && decisions !== undefined) {
    refuse(
      "--decisions",
      `each beam has decisions of its own, got --beams ${beams}`,
      "Leave one of them out.",
    );
  }
}

async function generate(out: Output, model: string, values: Flags): Promise<void> {
  refuseUnused(values);
  // What the policy refuses is refused before anything is opened.
  policyOf(values, values.maxNewTokens ?? NEW_TOKENS);
  const isBatch = values.batch !== undefined;
  const prompts = isBatch ? await readBatch(values.batch!) : [await readPrompt(values.prompt!)];
  const opened = await openModel(model, values.tokenizer);
  for (const notice of opened.files.notices) out.onEvent(notice);
  try {
    const { sampling, newTokens, fromModel } = generationSettings(values, opened.files.generation);
    if (fromModel !== null)
      out.onEvent({ event: "notice", level: "info", code: "LLM_DEFAULTS", message: fromModel });
    const texts = prompts.map(({ prompt: words, maxNewTokens, ...rest }) => {
      const prompt = opened.tokenizer.encode(words);
      return { ...rest, prompt, maxNewTokens: maxNewTokens ?? newTokens(prompt.length) };
    });
    for (const text of texts) checkLength(opened, text, values);
    warnOfLength(out, opened, texts);
    const sequences = Math.min(values.maxSeqs ?? BATCH_SEQUENCES, texts.length);
    const engine = await LlmEngine.open(opened.files, {
      ...runnerSettings(values),
      maxSequences: sequences * values.beams,
      onProgress: (done, total, unit) =>
        out.onEvent({ event: "progress", task: "load", done, total, unit, rate: null }),
    });
    const decisions = values.decisions === undefined ? null : new EventLog(values.decisions, "replace");
    try {
      // So that the rates are those of the texts; the first ones of a batch are read together.
      await engine.runner.prepare(...texts.slice(0, sequences).map(({ prompt }) => prompt.length));
      out.close();
      await endingEarly((signal) => {
        const run = { out, opened, engine, values, sampling, signal, onDecision: decisions?.append };
        if (isBatch) return writeBatch(run, texts);
        return values.beams === 1 ? streamText(run, texts[0]!) : searchText(run, texts[0]!);
      });
    } finally {
      decisions?.close();
      await engine.dispose();
    }
  } finally {
    await opened.files.close();
  }
}

/** @throws ParetoError LLM_PROMPT for an empty text, LLM_CONTEXT for one that the model has not the positions for */
function checkLength(
  { files }: OpenedModel,
  { prompt, maxNewTokens, where }: Text & { where: string },
  values: Flags,
): void {
  if (prompt.length === 0) throw withoutPrompt(where);
  const { maxPositions, hasLearnedPositions } = files.config;
  if (!hasLearnedPositions) return;
  // The last token that is chosen is never read; where positions are numbered anew, decoding needs no further ones.
  const isRenumbered = policyOf(values, maxNewTokens).positions === "new";
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
