/** @file Continues one text token by token. */
import type { LlmRunner, TextMemory } from "../runner/runner.ts";
import type { EndedBy } from "./continuation.ts";
import type { Sampler } from "./sampler.ts";

/** When a text ends. */
export interface GenerateOptions {
  /** The seat, which the caller has begun. Defaults to 0. */
  seat?: number;
  maxNewTokens: number;
  /** Tokens after which the text is over; they are not given. */
  endTokens: readonly number[];
  /** Ends the text after the pass that is being computed, and frees its seat. */
  signal?: AbortSignal;
}

/** How a text went. */
export interface GenerateTimes {
  promptSeconds: number;
  /** Of all decode steps; the first token comes from the prompt's pass. */
  decodeSeconds: number;
  decodeSteps: number;
  endedBy: EndedBy;
  /** What its seat held at its end. */
  memory: TextMemory;
}

/**
 * Gives tokens as they are chosen. A text that ended by itself stays in its seat for a further turn; the last token
 * chosen has not been read, so a turn's prompt begins with it. A text that is left early is released.
 * @param prompt at least one token: of a new text, or of a further turn
 * @returns how it went
 * @throws ParetoError as the runner's `read`, and LLM_LOGITS
 */
export async function* generateTokens(
  runner: LlmRunner,
  prompt: readonly number[],
  sampler: Sampler,
  { seat = 0, maxNewTokens, endTokens, signal }: GenerateOptions,
): AsyncGenerator<number, GenerateTimes> {
  const started = performance.now();
  let decodeMs = 0;
  let decodeSteps = 0;
  let isWhole = false;
  try {
    const logits = await runner.read([{ seat, tokens: prompt }]);
    const promptSeconds = (performance.now() - started) / 1000;
    const times = (endedBy: EndedBy): GenerateTimes => {
      isWhole = endedBy !== "signal";
      const memory = runner.memory(seat);
      return { promptSeconds, decodeSeconds: decodeMs / 1000, decodeSteps, endedBy, memory };
    };
    let token = sampler.next(logits);
    for (let count = 1; ; count++) {
      if (signal?.aborted) return times("signal");
      if (endTokens.includes(token)) return times("end-token");
      yield token;
      if (count >= maxNewTokens) return times("length");
      if (signal?.aborted) return times("signal");
      const stepped = performance.now();
      const read = [{ seat, token }];
      token = sampler.isGreedy ? (await runner.stepGreedy(read))[0]! : sampler.next(await runner.step(read));
      decodeMs += performance.now() - stepped;
      decodeSteps++;
    }
  } finally {
    if (!isWhole) runner.release(seat);
  }
}
