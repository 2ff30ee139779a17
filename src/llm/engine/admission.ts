/**
 * @file What a runner has room for: sequences, and bytes of their caches. A request that never fits is refused when it
 * is made; one that has to wait does so in order.
 */
import { ParetoError } from "../../base/errors.ts";
import { cacheBytes, ELEMENT_BYTES } from "../kv/cacheBytes.ts";
import type { LayerPolicies } from "../kv/policy.ts";
import type { LlmRunner } from "../runner/runner.ts";

/** Bytes of the caches of one request. */
export interface RequestBytes {
  /** During prefill. */
  peak: number;
  /** Once the prompt has been read, to the end. */
  held: number;
}

/** What a request takes of a runner. */
export interface RequestSizes {
  policies: LayerPolicies;
  promptTokens: number;
  newTokens: number;
  /** Beams; only the first holds the prompt during prefill. */
  beams: number;
}

/** Counts what requests take of a runner, and what is left. */
export class Admission {
  readonly #runner: LlmRunner;
  readonly #mostBytes: number;
  /** Numbers of the runner's free sequences; the last one is taken next. */
  readonly #free: number[];
  #bytes = 0;

  constructor(runner: LlmRunner, mostBytes: number) {
    this.#runner = runner;
    this.#mostBytes = mostBytes;
    this.#free = Array.from({ length: runner.maxSequences }, (_, i) => runner.maxSequences - 1 - i);
  }

  /** Bytes of caches that are set aside. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Bytes of a request's caches; zero where bytes are not limited. */
  bytesOf({ policies, promptTokens, newTokens, beams }: RequestSizes): RequestBytes {
    if (this.#mostBytes === Number.POSITIVE_INFINITY) return { peak: 0, held: 0 };
    const { config, device, dtype } = this.#runner;
    const { kvBytes, bookkeepingBytes, promptPeakBytes } = cacheBytes(config, policies, {
      contextTokens: promptTokens,
      newTokens,
      batch: 1,
      elementBytes: ELEMENT_BYTES[dtype],
      device,
    });
    const held = beams * (kvBytes + bookkeepingBytes);
    return { peak: Math.max(promptPeakBytes, held), held };
  }

  /**
   * Refuses what would wait for ever.
   * @throws ParetoError LLM_SEQUENCE for more beams than the runner has sequences; LLM_CACHE_BYTES for more bytes of
   *   caches than all sequences may take
   */
  requirePossible(beams: number, { peak }: RequestBytes): void {
    const { maxSequences } = this.#runner;
    if (beams > maxSequences)
      throw new ParetoError({
        code: "LLM_SEQUENCE",
        where: "LlmEngine.generate",
        message: `each beam takes a sequence of the runner, which has ${maxSequences}, got ${beams} beams`,
        fix: "Open the runner with as many sequences as beams at least, or take fewer beams.",
      });
    if (peak > this.#mostBytes)
      throw new ParetoError({
        code: "LLM_CACHE_BYTES",
        where: "LlmEngine.generate",
        message: `caches may take ${this.#mostBytes} bytes, got a request that takes ${peak}`,
        fix: "Shorten the prompt, generate fewer tokens, take a policy with a smaller budget, or allow more bytes.",
      });
  }

  /** Takes sequences and bytes for a prefill. @param count of sequences @returns null where there is no room now */
  take(count: number, peak: number): number[] | null {
    if (count > this.#free.length || this.#bytes + peak > this.#mostBytes) return null;
    this.#bytes += peak;
    return Array.from({ length: count }, () => this.#free.pop()!);
  }

  /** Gives bytes back, or takes those of a sequence that grew. */
  resize(from: number, to: number): void {
    this.#bytes += to - from;
  }

  /** Gives sequences and bytes back. */
  leave(sequences: readonly number[], bytes: number): void {
    this.#bytes -= bytes;
    this.#free.push(...sequences);
  }
}
