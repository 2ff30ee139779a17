/** @file `pareto generate`: a language model continues a text, with a cache that may evict. */
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { text as textOf } from "node:stream/consumers";
import type { Command } from "commander";
import { ParetoError } from "../../engine/errors.ts";
import { fileError } from "../../engine/partialFile.ts";
import { DenseDecoder } from "../../llm/generate/denseDecoder.ts";
import { generateTokens, type GenerateTimes } from "../../llm/generate/generate.ts";
import { Sampler } from "../../llm/generate/sampler.ts";
import { LlmSession } from "../../llm/generate/session.ts";
import { parseBudget, parseRecent, type Budget, type Recent } from "../../llm/kv/budget.ts";
import { choosePolicy, POLICY_NAMES, type PolicyName } from "../../llm/kv/choosePolicy.ts";
import { openModel, type OpenedModel } from "../../llm/load/openModel.ts";
import { TokenStream } from "../../llm/tokenizer/tokenizer.ts";
import { formatBytes, formatCount } from "../../report/format.ts";
import { newCommand, withOutput, type CommonFlags } from "../command.ts";
import { threadsOption } from "../defaults.ts";
import type { Output } from "../output.ts";
import { oneOf, positiveNumber, wholeNumber } from "../values.ts";

interface Flags extends CommonFlags {
  prompt: string;
  maxNewTokens: number;
  tokenizer?: string;
  kv: PolicyName;
  kvBudget?: Budget;
  recent?: Recent;
  temperature: number;
  topK?: number;
  topP: number;
  seed: number;
  threads: number;
}

/** The command. */
export function generateCommand(): Command {
  return newCommand(
    "generate",
    "Continue a text with a language model, token by token, on the CPU. --kv bounds the memory of keys and values: a policy chooses which tokens stay in the cache.",
  )
    .argument(
      "<model>",
      "a folder as Hugging Face publishes it (config.json, safetensors, tokenizer.json) of a Llama, Mistral, Qwen2, Qwen3, GPT-2, GPT-J or MPT, or a llama2.c .bin file with its tokenizer beside it",
    )
    .requiredOption("--prompt <text>", "the text to continue; - is standard input, @FILE a file")
    .option("--max-new-tokens <n>", "tokens at most", wholeNumber("--max-new-tokens", 1), 128)
    .option("--tokenizer <path>", "another tokenizer than the one that lies with the model")
    .option(
      "--kv <policy>",
      `which tokens stay in the cache: ${POLICY_NAMES.join(", ")}`,
      oneOf("--kv", POLICY_NAMES),
      "full",
    )
    .option(
      "--kv-budget <size>",
      "tokens that each layer and head keeps: a share of the prompt or a number (default: 50%)",
      parseBudget,
    )
    .option(
      "--recent <size>",
      "the newest tokens, which always stay: a share of the budget or a number (default: the policy's own)",
      parseRecent,
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
    .option("--seed <n>", "of drawn tokens and of the policy's noise", wholeNumber("--seed", 0), 1)
    .addOption(threadsOption())
    .action((model: string, flags: Flags) => withOutput(flags, (out) => generate(out, model, flags)));
}

/** Zero or a positive number. */
function temperature(text: string): number {
  return Number(text) === 0 && text.trim() !== "" ? 0 : positiveNumber("--temperature")(text);
}

/** @throws ParetoError `CLI_OPTION` for options of drawing when nothing is drawn */
function refuseUndrawn({ temperature, topK, topP }: Flags): void {
  if (temperature > 0 || (topK === undefined && topP === 1)) return;
  throw new ParetoError({
    code: "CLI_OPTION",
    where: topK === undefined ? "--top-p" : "--top-k",
    message: "it chooses among tokens to draw from, and nothing is drawn, got --temperature 0",
    fix: "Add a temperature, e.g. --temperature 1, or leave the option out.",
  });
}

/** The prompt's text; one line break at the end of a file or of standard input is not part of it. */
async function readPrompt(prompt: string): Promise<string> {
  if (prompt === "-") return (await textOf(process.stdin)).replace(/\r?\n$/, "");
  if (!prompt.startsWith("@")) return prompt;
  const path = prompt.slice(1);
  const text = await readFile(path, "utf8").catch((error: unknown) => {
    throw fileError(error, path);
  });
  return text.replace(/\r?\n$/, "");
}

/** Writes text that goes on, at the reader's pace. */
async function writeText(text: string): Promise<void> {
  if (text !== "" && !process.stdout.write(text)) await once(process.stdout, "drain");
}

async function generate(out: Output, model: string, flags: Flags): Promise<void> {
  const { maxNewTokens, kvBudget: budget, recent } = flags;
  refuseUndrawn(flags);
  const policy = choosePolicy({
    name: flags.kv,
    maxNewTokens,
    ...(budget && { budget }),
    ...(recent && { recent }),
  });
  const opened = await openModel(model, flags.tokenizer);
  try {
    const prompt = opened.tokenizer.encode(await readPrompt(flags.prompt));
    if (prompt.length === 0) throw withoutPrompt();
    warnOfLength(out, opened, prompt.length + maxNewTokens);
    const dense = await DenseDecoder.open(opened.files, {
      threads: flags.threads,
      onProgress: (done, total, unit) =>
        out.onEvent({ event: "progress", task: "load", done, total, unit, rate: null }),
    });
    try {
      await dense.prepare(prompt.length);
      out.close();
      const session = new LlmSession(dense, { policies: () => policy, maxNewTokens, seed: flags.seed });
      await run(out, opened, session, prompt, flags);
    } finally {
      await dense.dispose();
    }
  } finally {
    await opened.files.close();
  }
}

/** Generates and writes; Ctrl-C ends the text after the token at hand. */
async function run(
  out: Output,
  { files, tokenizer }: OpenedModel,
  session: LlmSession,
  prompt: readonly number[],
  flags: Flags,
): Promise<void> {
  const stop = new AbortController();
  const onSignal = () => (stop.signal.aborted ? process.exit(130) : stop.abort());
  process.on("SIGINT", onSignal);
  const { temperature, topK, topP, seed, maxNewTokens } = flags;
  const sampler = new Sampler({ temperature, topP, seed, ...(topK !== undefined && { topK }) });
  const stream = new TokenStream(tokenizer, prompt);
  const tokens = generateTokens(session, prompt, sampler, {
    maxNewTokens,
    endTokens: files.config.endTokens,
    signal: stop.signal,
  });
  let text = "";
  let count = 0;
  try {
    for (;;) {
      const { done, value } = await tokens.next();
      const piece = done ? stream.end() : stream.push(value);
      text += piece;
      if (!flags.json) await writeText(done ? `${piece}\n` : piece);
      else if (!done) out.json({ event: "token", token: value, text: piece });
      if (done) {
        summarize(out, files.name, session, { prompt: prompt.length, count, text, times: value, flags });
        return;
      }
      count++;
    }
  } finally {
    process.off("SIGINT", onSignal);
    if (stop.signal.aborted) process.exitCode = 130;
  }
}

function summarize(
  out: Output,
  model: string,
  session: LlmSession,
  run: { prompt: number; count: number; text: string; times: GenerateTimes; flags: Flags },
): void {
  const { promptSeconds, decodeSeconds, decodeSteps, endedBy } = run.times;
  const promptRate = run.prompt / promptSeconds;
  const decodeRate = decodeSteps === 0 ? null : decodeSteps / decodeSeconds;
  const { memory } = session;
  const decoded =
    decodeRate === null ? "" : `, decode ${formatCount(decodeSteps)} at ${decodeRate.toFixed(1)}/s`;
  out.info(
    `prompt ${formatCount(run.prompt)} tokens at ${promptRate.toFixed(1)}/s${decoded}; KV cache ${formatBytes(memory.kvBytes)} (${run.flags.kv}), a full one of ${formatCount(memory.tokensSeen)} tokens ${formatBytes(memory.fullKvBytes)}; ${memory.evictedTokens.toFixed(0)} tokens evicted from each head`,
  );
  out.json({
    event: "done",
    model,
    kv: run.flags.kv,
    text: run.text,
    endedBy,
    promptTokens: run.prompt,
    newTokens: run.count,
    promptSeconds,
    promptTokensPerSecond: promptRate,
    decodeSeconds,
    decodeTokensPerSecond: decodeRate,
    ...memory,
  });
}

function warnOfLength(out: Output, { files }: OpenedModel, tokens: number): void {
  const { maxPositions, hasLearnedPositions } = files.config;
  if (hasLearnedPositions || tokens <= maxPositions) return;
  out.onEvent({
    event: "notice",
    level: "warning",
    code: "LLM_CONTEXT",
    message: `the text may come to ${formatCount(tokens)} tokens, but the model was made for ${formatCount(maxPositions)}`,
  });
}

function withoutPrompt(): ParetoError {
  return new ParetoError({
    code: "LLM_PROMPT",
    where: "--prompt",
    message: "this model needs at least one token to go on from, got an empty prompt",
    fix: "Give --prompt a text.",
  });
}
