/** @file Continues a text token by token. */
import type { LlmSession } from "./session.ts";
import type { Sampler } from "./sampler.ts";

/** When a text ends. */
export interface GenerateOptions {
  maxNewTokens: number;
  /** Tokens after which the text is over; they are not given. */
  endTokens: readonly number[];
  /** Ends the text after the token that is being computed. */
  signal?: AbortSignal;
}

/** How long it took. */
export interface GenerateTimes {
  promptSeconds: number;
  /** Of all decode steps; the first token comes from the prompt's pass. */
  decodeSeconds: number;
  decodeSteps: number;
  endedBy: "length" | "end-token" | "signal";
}

/**
 * Gives tokens as they are chosen.
 * @param prompt at least one token
 * @returns how long it took
 */
export async function* generateTokens(
  session: LlmSession,
  prompt: readonly number[],
  sampler: Sampler,
  { maxNewTokens, endTokens, signal }: GenerateOptions,
): AsyncGenerator<number, GenerateTimes> {
  const started = performance.now();
  let logits = await session.prompt(prompt);
  const promptSeconds = (performance.now() - started) / 1000;
  let decodeMs = 0;
  let decodeSteps = 0;
  const times = (endedBy: GenerateTimes["endedBy"]): GenerateTimes => ({
    promptSeconds,
    decodeSeconds: decodeMs / 1000,
    decodeSteps,
    endedBy,
  });
  for (let count = 1; ; count++) {
    const token = sampler.next(logits);
    if (endTokens.includes(token)) return times("end-token");
    yield token;
    if (count === maxNewTokens) return times("length");
    if (signal?.aborted) return times("signal");
    const stepped = performance.now();
    logits = await session.step(token);
    decodeMs += performance.now() - stepped;
    decodeSteps++;
  }
}
