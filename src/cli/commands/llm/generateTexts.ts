/** @file Runs texts for `pareto llm generate` and writes them: one as it comes, one that beams search for, or a batch. */
import { once } from "node:events";
import { generateTokens } from "../../../llm/generate/generate.ts";
import { type BatchRequest, type BatchResult, runBatch } from "../../../llm/generate/runBatch.ts";
import { Sampler, type SamplerOptions } from "../../../llm/generate/sampler.ts";
import { kvDecisionEvent, type KvDecisionEvent } from "../../../llm/kv/decisionEvent.ts";
import type { OpenedModel } from "../../../llm/load/openModel.ts";
import type { LlmRunner, SequenceMemory, SequenceOptions } from "../../../llm/runner/runner.ts";
import { TokenStream } from "../../../llm/tokenizer/tokenizer.ts";
import { formatBytes, formatCount } from "../../../base/format.ts";
import { type KvValues, policyOf } from "../../options/languageModel.ts";
import type { Output } from "../../output.ts";

/** How texts are continued. */
export interface GenerationValues extends KvValues {
  readonly temperature: number;
  readonly topK: number | undefined;
  readonly topP: number;
  readonly beams: number;
  readonly seed: number;
}

/** A prompt in tokens. */
export interface Text {
  prompt: readonly number[];
  maxNewTokens: number;
  id: string | number;
  seed?: number;
}

/** What running texts needs. */
export interface TextRun {
  out: Output;
  opened: OpenedModel;
  runner: LlmRunner;
  values: GenerationValues;
  signal: AbortSignal;
  /** Receives each decision of the policy; its subject is the id of the text. */
  onDecision: ((decision: KvDecisionEvent) => void) | undefined;
}

/** What the last line states. */
interface Rates {
  promptTokens: number;
  promptSeconds: number;
  decodeTokens: number;
  decodeSeconds: number;
  memory: SequenceMemory;
}

/** Writes a text token by token. */
export async function streamText(run: TextRun, text: Text): Promise<void> {
  const { out, opened, runner, values, signal } = run;
  const { prompt, maxNewTokens } = text;
  const { eosTokenIds } = opened.files.config;
  const stream = new TokenStream(opened.tokenizer, prompt);
  runner.begin(0, textOptions(run, text));
  const sampler = new Sampler(samplerOptions(values, text));
  const tokens = generateTokens(runner, prompt, sampler, { maxNewTokens, eosTokenIds, signal });
  let written = "";
  for (let newTokens = 0; ; newTokens++) {
    const { done, value } = await tokens.next();
    const piece = done ? stream.end() : stream.push(value);
    written += piece;
    if (!out.isJson) await writeText(done ? `${piece}\n` : piece);
    else if (!done) out.json({ event: "token", token: value, text: piece });
    if (done) {
      const { finishReason, decodeSteps: decodeTokens, ...times } = value;
      const rates = { ...times, decodeTokens, promptTokens: prompt.length };
      summarize(run, rates, { text: written, finishReason, newTokens });
      return;
    }
  }
}

/** Writes the text that beams find. */
export async function searchText(run: TextRun, text: Text): Promise<void> {
  const found: TextLine[] = [];
  const rates = await runTexts(run, [text], (line) => found.push(line));
  const { text: written = "", finishReason = "abort", newTokens = 0, score } = found[0] ?? {};
  if (!run.out.isJson) await writeText(`${written}\n`);
  summarize(run, rates, {
    text: written,
    finishReason,
    newTokens,
    ...(score !== undefined && { score }),
  });
}

/** Writes a JSON line for each text of a batch, in their order, each as soon as those before it are over. */
export async function writeBatch(run: TextRun, texts: readonly Text[]): Promise<void> {
  const { out } = run;
  const waiting = new Map<number, TextLine>();
  let next = 0;
  let newTokens = 0;
  const write = (line: TextLine) => {
    if (out.isJson) out.json({ event: "text", ...line });
    else out.result(JSON.stringify(line));
  };
  const rates = await runTexts(run, texts, (line, index) => {
    waiting.set(index, line);
    newTokens += line.newTokens;
    for (let ready = waiting.get(next); ready; ready = waiting.get(++next)) {
      write(ready);
      waiting.delete(next);
    }
  });
  // A batch that was stopped has gaps.
  const late = [...waiting].sort(([a], [b]) => a - b);
  for (const [, line] of late) write(line);
  summarize(run, rates, { texts: next + late.length, newTokens });
}

/** What is written of a text of a batch. */
interface TextLine {
  id: Text["id"];
  text: string;
  finishReason: BatchResult["finishReason"];
  promptTokens: number;
  newTokens: number;
  /** Of beams. */
  score?: number;
}

/** Runs texts in the runner's sequences. @param onText receives each one when it is over, with its place among them */
async function runTexts(
  run: TextRun,
  texts: readonly Text[],
  onText: (line: TextLine, index: number) => void,
): Promise<Rates> {
  const { opened, runner, values, signal } = run;
  const { eosTokenIds } = opened.files.config;
  const requests = texts.map((text): BatchRequest => {
    const { beams } = values;
    const choice = beams > 1 ? { beams } : { sampler: samplerOptions(values, text) };
    return { prompt: text.prompt, text: textOptions(run, text), eosTokenIds, ...choice };
  });
  const memories: SequenceMemory[] = [];
  const batch = runBatch(runner, requests, { signal });
  for (;;) {
    const { done, value } = await batch.next();
    if (done) return { ...value, memory: memoryOf(memories) };
    memories.push(value.memory);
    const { index, tokens, finishReason, promptTokens, score } = value;
    const { id, prompt } = texts[index]!;
    const stream = new TokenStream(opened.tokenizer, prompt);
    const text = tokens.map((token) => stream.push(token)).join("") + stream.end();
    const line = { id, text, finishReason, promptTokens, newTokens: tokens.length };
    onText(score === undefined ? line : { ...line, score }, index);
  }
}

/** Bytes of all texts, tokens evicted of the mean one. */
function memoryOf(texts: readonly SequenceMemory[]): SequenceMemory {
  const sum = (key: keyof SequenceMemory) => texts.reduce((total, memory) => total + memory[key], 0);
  return {
    kvBytes: sum("kvBytes"),
    bookkeepingBytes: sum("bookkeepingBytes"),
    fullKvBytes: sum("fullKvBytes"),
    evictedTokens: texts.length === 0 ? 0 : sum("evictedTokens") / texts.length,
    tokensSeen: sum("tokensSeen"),
  };
}

function textOptions({ values, onDecision }: TextRun, text: Text): SequenceOptions {
  const { id, maxNewTokens, seed = values.seed } = text;
  const policy = policyOf(values, maxNewTokens);
  const policies = () => policy;
  return {
    policies,
    maxNewTokens,
    seed,
    ...(onDecision && {
      onDecision: (decision) => onDecision(kvDecisionEvent(decision, policies, String(id))),
    }),
  };
}

function samplerOptions(values: GenerationValues, { seed = values.seed }: Text): SamplerOptions {
  const { temperature, topK, topP } = values;
  return { temperature, topP, seed, ...(topK !== undefined && { topK }) };
}

/** Writes text that goes on, at the reader's pace. */
async function writeText(text: string): Promise<void> {
  if (text !== "" && !process.stdout.write(text)) await once(process.stdout, "drain");
}

/** Says how it went. */
function summarize({ out, opened, values }: TextRun, rates: Rates, result: Record<string, unknown>): void {
  const { promptTokens, promptSeconds, decodeTokens, decodeSeconds, memory } = rates;
  const promptRate = promptSeconds === 0 ? null : promptTokens / promptSeconds;
  const decodeRate = decodeTokens === 0 ? null : decodeTokens / decodeSeconds;
  const rate = (tokens: number, perSecond: number | null) =>
    `${formatCount(tokens)} tokens${perSecond === null ? "" : ` at ${perSecond.toFixed(1)}/s`}`;
  out.info(
    `prompt ${rate(promptTokens, promptRate)}, decode ${rate(decodeTokens, decodeRate)}; KV cache ${formatBytes(memory.kvBytes)} (${values.kv}), with every token kept ${formatBytes(memory.fullKvBytes)}; ${memory.evictedTokens.toFixed(0)} tokens evicted from each head`,
  );
  out.json({
    event: "done",
    model: opened.files.name,
    kv: values.kv,
    ...result,
    promptTokens,
    promptSeconds,
    promptTokensPerSecond: promptRate,
    decodeTokens,
    decodeSeconds,
    decodeTokensPerSecond: decodeRate,
    ...memory,
  });
}
