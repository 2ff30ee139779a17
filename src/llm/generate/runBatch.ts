/**
 * @file Many texts over the seats of one runner, by continuous batching: a text that is over leaves its seats at once,
 * and the next one enters. Each text comes to what it would alone, on a GPU within rounding, whatever the
 * order and the number of seats.
 */
import { ParetoError } from "../../base/errors.ts";
import type { LlmRunner, TextMemory, TextOptions } from "../runner/runner.ts";
import { type Continuation, type Continued, SampledText, SearchedText } from "./continuation.ts";
import { Sampler, type SamplerOptions } from "./sampler.ts";

/** Prompt tokens read in one pass, so that a pass's hidden states stay small; a longer prompt is read alone. */
const PASS_TOKENS = 8192;

/** A text to continue. */
export interface BatchRequest {
  /** At least one token. */
  prompt: readonly number[];
  /** How it is cached, and how many tokens it gets. */
  text: TextOptions;
  /** How its tokens are chosen; the most probable ones when left out. */
  sampler?: SamplerOptions;
  /** Beams that search for it, a seat each, in place of a sampler. */
  beams?: number;
  /** Tokens after which it is over; they are not given. */
  endTokens: readonly number[];
}

/** What a text came to. */
export interface BatchResult extends Continued {
  /** Its place among the requests. */
  index: number;
  promptTokens: number;
  /** What its seats held at its end: bytes of all of them, tokens of each. */
  memory: TextMemory;
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
  /** Ends all texts after the pass that is being computed, and frees their seats. Texts that have begun are given. */
  signal?: AbortSignal;
}

interface Entry {
  index: number;
  promptTokens: number;
  text: Continuation;
}

/**
 * Continues texts and gives each as soon as it is over. Every seat of the runner is taken for it, and released at the end.
 * @throws ParetoError LLM_SEAT for a text with more beams than there are seats; as the runner's `read`; LLM_LOGITS
 */
export async function* runBatch(
  runner: LlmRunner,
  requests: Iterable<BatchRequest>,
  { signal }: BatchOptions = {},
): AsyncGenerator<BatchResult, BatchTimes> {
  const times: BatchTimes = { promptTokens: 0, promptSeconds: 0, decodeTokens: 0, decodeSeconds: 0 };
  const waiting = new Queue(requests);
  const free = Array.from({ length: runner.seats }, (_, i) => runner.seats - 1 - i);
  let active: Entry[] = [];
  const leave = (entry: Entry): BatchResult => {
    const { index, promptTokens, text } = entry;
    const memory = memoryOf(text.seats.map((seat) => runner.memory(seat)));
    for (const seat of text.seats) runner.release(seat);
    free.push(...text.seats);
    active = active.filter((each) => each !== entry);
    return { ...text.continued, index, promptTokens, memory };
  };
  try {
    for (;;) {
      if (signal?.aborted) break;
      const prompts = enter(runner, waiting, free, active);
      if (prompts.length > 0) {
        const started = performance.now();
        const logits = await runner.read(prompts.map(({ seat, tokens }) => ({ seat, tokens })));
        const { vocabulary } = runner.config;
        for (const [row, { entry }] of prompts.entries()) {
          await entry.text.choose(logits.subarray(row * vocabulary, (row + 1) * vocabulary));
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
    for (const { text } of active) for (const seat of text.seats) runner.release(seat);
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

/** Seats the next requests for which there is room. */
function enter(
  runner: LlmRunner,
  waiting: Queue,
  free: number[],
  active: Entry[],
): { seat: number; tokens: readonly number[]; entry: Entry }[] {
  const prompts: { seat: number; tokens: readonly number[]; entry: Entry }[] = [];
  let tokens = 0;
  for (let request = waiting.next; request; request = waiting.next) {
    const { prompt, text, sampler, beams = 1, endTokens } = request;
    if (beams > runner.seats) throw fewSeats(beams, runner.seats);
    if (beams > free.length || (tokens > 0 && tokens + prompt.length > PASS_TOKENS)) break;
    tokens += prompt.length;
    const seats = Array.from({ length: beams }, () => free.pop()!);
    const seat = seats[0]!;
    const options = { maxNewTokens: text.maxNewTokens, endTokens };
    const continuation =
      beams > 1
        ? new SearchedText(runner, seats, { ...options, beams })
        : new SampledText(seat, new Sampler(sampler), options);
    const entry = { index: waiting.take(), promptTokens: prompt.length, text: continuation };
    active.push(entry);
    runner.begin(seat, text);
    prompts.push({ seat, tokens: prompt, entry });
  }
  return prompts;
}

/** Continues each text by a token. */
async function step(runner: LlmRunner, active: readonly Entry[]): Promise<void> {
  const tokens = active.flatMap(({ text }) => text.next);
  if (active.every(({ text }) => text.take)) {
    const chosen = await runner.stepGreedy(tokens);
    for (const [row, { text }] of active.entries()) text.take!(chosen[row]!);
    return;
  }
  const logits = await runner.step(tokens);
  const { vocabulary } = runner.config;
  let row = 0;
  for (const { text } of active) {
    const end = row + text.next.length;
    await text.choose(logits.subarray(row * vocabulary, end * vocabulary));
    row = end;
  }
}

/** What several seats of one text hold. */
function memoryOf(seats: readonly TextMemory[]): TextMemory {
  const sum = (key: keyof TextMemory) => seats.reduce((total, memory) => total + memory[key], 0);
  return {
    kvBytes: sum("kvBytes"),
    bookkeepingBytes: sum("bookkeepingBytes"),
    fullKvBytes: sum("fullKvBytes"),
    evictedTokens: sum("evictedTokens") / seats.length,
    tokensSeen: Math.max(...seats.map(({ tokensSeen }) => tokensSeen)),
  };
}

function fewSeats(beams: number, seats: number): ParetoError {
  return new ParetoError({
    code: "LLM_SEAT",
    where: "runBatch",
    message: `each beam takes a seat of the runner, got ${beams} beams and ${seats} seats`,
    fix: "Open the runner with as many seats as beams at least, or take fewer beams.",
  });
}
