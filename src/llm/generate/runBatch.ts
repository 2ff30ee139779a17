/**
 * @file Many texts over the sequences of one runner, by continuous batching: a text that is over leaves its sequences at once,
 * and the next one enters. Each text comes to what it would alone, on a GPU within rounding, whatever the
 * order and the number of sequences.
 */
import { ParetoError } from "../../base/errors.ts";
import type { LlmRunner, SequenceMemory, SequenceOptions } from "../runner/runner.ts";
import { type Continuation, type Continued, SampledSequence, BeamSequence } from "./continuation.ts";
import { Sampler, type SamplerOptions } from "./sampler.ts";

/** Prompt tokens read in one pass, so that a pass's hidden states stay small; a longer prompt is read alone. */
const PASS_TOKENS = 8192;

/** A text to continue. */
export interface BatchRequest {
  /** At least one token. */
  prompt: readonly number[];
  /** How it is cached, and how many tokens it gets. */
  text: SequenceOptions;
  /** How its tokens are chosen; the most probable ones when left out. */
  sampler?: SamplerOptions;
  /** Beams that search for it, a sequence each, in place of a sampler. */
  beams?: number;
  /** Tokens after which it is over; they are not given. */
  eosTokenIds: readonly number[];
}

/** What a text came to. */
export interface BatchResult extends Continued {
  /** Its place among the requests. */
  index: number;
  promptTokens: number;
  /** What its sequences held at its end: bytes of all of them, tokens of each. */
  memory: SequenceMemory;
}

/** What the runner did. */
export interface BatchTimes {
  promptTokens: number;
  promptSeconds: number;
  /** Tokens that texts got in decode steps; beams of one text count once. */
  decodeTokens: number;
  decodeSeconds: number;
}

/** How a batch is run. */
export interface BatchOptions {
  /** Ends all texts after the pass that is being computed, and frees their sequences. Texts that have begun are given. */
  signal?: AbortSignal;
}

interface Entry {
  index: number;
  promptTokens: number;
  text: Continuation;
}

/**
 * Continues texts and gives each as soon as it is over. Every sequence of the runner is taken for it, and released at the end.
 * @throws ParetoError LLM_SEQUENCE for a text with more beams than there are sequences; as the runner's `read`; LLM_LOGITS
 */
export async function* runBatch(
  runner: LlmRunner,
  requests: Iterable<BatchRequest>,
  { signal }: BatchOptions = {},
): AsyncGenerator<BatchResult, BatchTimes> {
  const times: BatchTimes = { promptTokens: 0, promptSeconds: 0, decodeTokens: 0, decodeSeconds: 0 };
  const waiting = new Queue(requests);
  const free = Array.from({ length: runner.maxSequences }, (_, i) => runner.maxSequences - 1 - i);
  let active: Entry[] = [];
  const leave = (entry: Entry): BatchResult => {
    const { index, promptTokens, text } = entry;
    const memory = memoryOf(text.sequences.map((sequence) => runner.memory(sequence)));
    for (const sequence of text.sequences) runner.release(sequence);
    free.push(...text.sequences);
    active = active.filter((each) => each !== entry);
    return { ...text.continued, index, promptTokens, memory };
  };
  try {
    for (;;) {
      if (signal?.aborted) break;
      const prompts = enter(runner, waiting, free, active);
      if (prompts.length > 0) {
        const started = performance.now();
        const logits = await runner.prefill(prompts.map(({ sequence, tokens }) => ({ sequence, tokens })));
        const { vocabSize } = runner.config;
        for (const [row, { entry }] of prompts.entries()) {
          await entry.text.choose(logits.subarray(row * vocabSize, (row + 1) * vocabSize));
          times.promptTokens += entry.promptTokens;
        }
        times.promptSeconds += (performance.now() - started) / 1000;
      } else if (active.length > 0) {
        const started = performance.now();
        await step(runner, active);
        times.decodeTokens += active.length;
        times.decodeSeconds += (performance.now() - started) / 1000;
      } else break;
      for (const entry of active.filter(({ text }) => text.next.length === 0)) yield leave(entry);
    }
    for (const entry of active) yield leave(entry);
    return times;
  } finally {
    for (const { text } of active) for (const sequence of text.sequences) runner.release(sequence);
  }
}

/** Requests with their places, one looked at ahead. */
class Queue {
  readonly #requests: Iterator<BatchRequest>;
  #index = 0;
  /** The next request; undefined at the end. */
  next: BatchRequest | undefined;

  constructor(requests: Iterable<BatchRequest>) {
    this.#requests = requests[Symbol.iterator]();
    this.next = this.#pull();
  }

  /** Takes the next request. */
  take(): number {
    this.next = this.#pull();
    return this.#index++;
  }

  #pull(): BatchRequest | undefined {
    const { done, value } = this.#requests.next();
    return done ? undefined : value;
  }
}

/** Sequences the next requests for which there is room. */
function enter(
  runner: LlmRunner,
  waiting: Queue,
  free: number[],
  active: Entry[],
): { sequence: number; tokens: readonly number[]; entry: Entry }[] {
  const prompts: { sequence: number; tokens: readonly number[]; entry: Entry }[] = [];
  let tokens = 0;
  for (let request = waiting.next; request; request = waiting.next) {
    const { prompt, text, sampler, beams = 1, eosTokenIds } = request;
    if (beams > runner.maxSequences) throw fewSequences(beams, runner.maxSequences);
    if (beams > free.length || (tokens > 0 && tokens + prompt.length > PASS_TOKENS)) break;
    tokens += prompt.length;
    const sequences = Array.from({ length: beams }, () => free.pop()!);
    const sequence = sequences[0]!;
    const options = { maxNewTokens: text.maxNewTokens, eosTokenIds: eosTokenIds };
    const continuation =
      beams > 1
        ? new BeamSequence(runner, sequences, { ...options, beams })
        : new SampledSequence(sequence, new Sampler(sampler), options);
    const entry = { index: waiting.take(), promptTokens: prompt.length, text: continuation };
    active.push(entry);
    runner.begin(sequence, text);
    prompts.push({ sequence, tokens: prompt, entry });
  }
  return prompts;
}

/** Continues each text by a token. */
async function step(runner: LlmRunner, active: readonly Entry[]): Promise<void> {
  const tokens = active.flatMap(({ text }) => text.next);
  if (active.every(({ text }) => text.take)) {
    const chosen = await runner.decodeGreedy(tokens);
    for (const [row, { text }] of active.entries()) text.take!(chosen[row]!);
    return;
  }
  const logits = await runner.decode(tokens);
  const { vocabSize } = runner.config;
  let row = 0;
  for (const { text } of active) {
    const end = row + text.next.length;
    await text.choose(logits.subarray(row * vocabSize, end * vocabSize));
    row = end;
  }
}

/** What several sequences of one text hold. */
function memoryOf(sequences: readonly SequenceMemory[]): SequenceMemory {
  const sum = (key: keyof SequenceMemory) => sequences.reduce((total, memory) => total + memory[key], 0);
  return {
    kvBytes: sum("kvBytes"),
    bookkeepingBytes: sum("bookkeepingBytes"),
    fullKvBytes: sum("fullKvBytes"),
    evictedTokens: sum("evictedTokens") / sequences.length,
    tokensSeen: Math.max(...sequences.map(({ tokensSeen }) => tokensSeen)),
  };
}

function fewSequences(beams: number, sequences: number): ParetoError {
  return new ParetoError({
    code: "LLM_SEQUENCE",
    where: "runBatch",
    message: `each beam takes a sequence of the runner, got ${beams} beams and ${sequences} sequences`,
    fix: "Open the runner with as many sequences as beams at least, or take fewer beams.",
  });
}
