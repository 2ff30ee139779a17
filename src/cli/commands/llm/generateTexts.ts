/** @file Runs texts for `pareto llm generate` and writes them: one as it comes, one that beams search for, or a batch. */
import { once } from "node:events";
import type { LlmEngine } from "../../../llm/engine/llmEngine.ts";
import type { EndEvent, GenerateRequest } from "../../../llm/engine/request.ts";
import { runBatch } from "../../../llm/engine/runBatch.ts";
import type { SamplerOptions } from "../../../llm/generate/sampler.ts";
import type { KvDecisionEvent } from "../../../llm/kv/decisionEvent.ts";
import type { OpenedModel } from "../../../llm/load/openModel.ts";
import type { SequenceMemory } from "../../../llm/runner/runner.ts";
import { TokenStream } from "../../../llm/tokenizer/tokenizer.ts";
import { formatBytes, formatCount } from "../../../base/format.ts";
import { visibleJson, visibleLines } from "../../../base/visibleText.ts";
import type { KvValues } from "../../options/languageModel.ts";
import type { Output } from "../../output.ts";

/** How texts are continued. */
export interface GenerationValues extends KvValues {
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
  engine: LlmEngine;
  values: GenerationValues;
  /** How tokens are chosen; null for beams. */
  sampling: SamplerOptions | null;
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
  const { out, opened, engine } = run;
  const { prompt } = text;
  const stream = new TokenStream(opened.tokenizer, prompt);
  let written = "";
  for await (const event of engine.generate(requestOf(run, text))) {
    const piece = event.event === "token" ? stream.push(event.token) : stream.end();
    written += piece;
    if (!out.isJson) await writeText(event.event === "end" ? `${piece}\n` : piece);
    else if (event.event === "token") out.json({ event: "token", token: event.token, text: piece });
    if (event.event === "token") continue;
    const { finishReason, tokens, decodeSteps: decodeTokens, memory, seconds } = event;
    const rates = {
      promptTokens: prompt.length,
      promptSeconds: seconds.prefill,
      decodeTokens,
      decodeSeconds: seconds.decode,
      memory: memory ?? memoryOf([]),
    };
    summarize(run, rates, { text: written, finishReason, newTokens: tokens.length });
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
    else out.result(visibleJson(line));
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
  finishReason: EndEvent["finishReason"];
  promptTokens: number;
  newTokens: number;
  /** Of beams. */
  score?: number;
}

/** Runs texts on the engine. @param onText receives each one when it is over, with its place among them */
async function runTexts(
  run: TextRun,
  texts: readonly Text[],
  onText: (line: TextLine, index: number) => void,
): Promise<Rates> {
  const { opened, engine, signal } = run;
  const memories: SequenceMemory[] = [];
  const requests = texts.map((text) => requestOf(run, text));
  for await (const result of runBatch(engine, requests, { signal })) {
    memories.push(result.memory);
    const { index, tokens, finishReason, promptTokens, score } = result;
    const { id, prompt } = texts[index]!;
    const stream = new TokenStream(opened.tokenizer, prompt);
    const text = tokens.map((token) => stream.push(token)).join("") + stream.end();
    const line = { id, text, finishReason, promptTokens, newTokens: tokens.length };
    onText(score === undefined ? line : { ...line, score }, index);
  }
  const { promptTokens, prefillSeconds: promptSeconds, decodeTokens, decodeSeconds } = engine.stats;
  return { promptTokens, promptSeconds, decodeTokens, decodeSeconds, memory: memoryOf(memories) };
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

function requestOf({ values, sampling, signal, onDecision }: TextRun, text: Text): GenerateRequest {
  const { kv, beams } = values;
  const { id, prompt, maxNewTokens, seed = values.seed } = text;
  return {
    id: String(id),
    prompt,
    maxNewTokens,
    kv,
    noise: { seed },
    signal,
    ...(sampling === null ? { beams } : { sampling: { ...sampling, seed } }),
    ...(onDecision && { onDecision }),
  };
}

/** Writes text that goes on, at the reader's pace; to a terminal without what would steer it. */
async function writeText(text: string): Promise<void> {
  const shown = process.stdout.isTTY ? visibleLines(text) : text;
  if (shown !== "" && !process.stdout.write(shown)) await once(process.stdout, "drain");
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
