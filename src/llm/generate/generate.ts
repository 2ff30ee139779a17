/** @file Continues one text token by token. */
import type { LlmRunner, SequenceMemory } from "../runner/runner.ts";
import type { FinishReason } from "./continuation.ts";
import type { Sampler } from "./sampler.ts";

/** When a text ends. */
export interface GenerateOptions {
  /** The sequence, which the caller has begun. Defaults to 0. */
  sequence?: number;
  maxNewTokens: number;
  /** Tokens after which the text is over; they are not given. */
  eosTokenIds: readonly number[];
  /** Ends the text after the pass that is being computed, and frees its sequence. */
  signal?: AbortSignal;
}

/** How a text went. */
export interface GenerateTimes {
  promptSeconds: number;
  /** Of all decode steps; the first token comes from the prompt's pass. */
  decodeSeconds: number;
  decodeSteps: number;
  finishReason: FinishReason;
  /** What its sequence held at its end. */
  memory: SequenceMemory;
}

/**
 * Gives tokens as they are chosen. A text that ended by itself stays in its sequence for a further turn; the last token
 * chosen has not been read, so a turn's prompt begins with it. A text that is left early is released.
 * @param prompt at least one token: of a new text, or of a further turn
 * @returns how it went
 * @throws ParetoError as the runner's `read`, and LLM_LOGITS
 */
export async function* generateTokens(
  runner: LlmRunner,
  prompt: readonly number[],
  sampler: Sampler,
  { sequence = 0, maxNewTokens, eosTokenIds, signal }: GenerateOptions,
): AsyncGenerator<number, GenerateTimes> {
  const started = performance.now();
  let decodeMs = 0;
  let decodeSteps = 0;
  let isWhole = false;
  try {
    const logits = await runner.prefill([{ sequence, tokens: prompt }]);
    const promptSeconds = (performance.now() - started) / 1000;
    const times = (finishReason: FinishReason): GenerateTimes => {
      isWhole = finishReason !== "abort";
      const memory = runner.memory(sequence);
      return { promptSeconds, decodeSeconds: decodeMs / 1000, decodeSteps, finishReason, memory };
    };
    let token = sampler.next(logits);
    for (let count = 1; ; count++) {
      if (signal?.aborted) return times("abort");
      if (eosTokenIds.includes(token)) return times("stop");
      yield token;
      if (count >= maxNewTokens) return times("length");
      if (signal?.aborted) return times("abort");
      const stepped = performance.now();
      const read = [{ sequence, token }];
      token = sampler.isGreedy
        ? (await runner.decodeGreedy(read))[0]!
        : sampler.next(await runner.decode(read));
      decodeMs += performance.now() - stepped;
      decodeSteps++;
    }
  } finally {
    if (!isWhole) runner.release(sequence);
  }
}
