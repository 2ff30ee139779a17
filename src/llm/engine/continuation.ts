/**
 * @file A request that is being continued on a runner, whichever way its tokens are chosen: one after the other
 * (`SampledSequence`), or by beams that each have a sequence of the runner (`BeamSequence`).
 */
import { BeamSearch, type BeamSearchOptions } from "../generate/beamSearch.ts";
import { logSumExp } from "../generate/logits.ts";
import type { Sampler } from "../generate/sampler.ts";
import type { LlmRunner, SequenceToken } from "../runner/runner.ts";
import type { FinishReason } from "./request.ts";

/** What a request has come to. */
export interface Continued {
  /** Without a stop token. */
  tokens: readonly number[];
  /** Null while it goes on. */
  finishReason: Exclude<FinishReason, "abort"> | null;
  /** Where they were asked for, one a token. */
  logProbabilities?: readonly number[];
  /** Of beams: the mean log-probability of the tokens, the stop token included. */
  score?: number;
}

/** A request and how it goes on. */
export interface Continuation {
  /** The runner's sequences that it takes. */
  readonly sequences: readonly number[];
  /** What they decode next; none when it is over. */
  readonly next: readonly SequenceToken[];
  readonly continued: Continued;
  /** What chooses the next token; null where the logits are needed. */
  readonly sampler: Sampler | null;
  /** Goes on with the token that the sampler chose. */
  take(token: number): void;
  /** Goes on by logits `[next, vocabSize]`, or `[1, vocabSize]` after the prompt. @throws ParetoError LLM_LOGITS */
  choose(logits: Float32Array): Promise<void>;
}

/** How a {@link SampledSequence} goes on. */
export interface SampledOptions {
  maxNewTokens: number;
  /** Tokens after which it is over. */
  stopTokenIds: ReadonlySet<number>;
  /** First new tokens, whatever is chosen. */
  forced: readonly number[];
  hasLogProbabilities: boolean;
}

/** Tokens that are taken or drawn one after the other. */
export class SampledSequence implements Continuation {
  readonly sequences: readonly [number];
  readonly #sampler: Sampler;
  readonly #options: SampledOptions;
  readonly #tokens: number[] = [];
  readonly #logProbabilities: number[] = [];
  #finishReason: Continued["finishReason"] = null;

  constructor(sequence: number, sampler: Sampler, options: SampledOptions) {
    this.sequences = [sequence];
    this.#sampler = sampler;
    this.#options = options;
  }

  get sampler(): Sampler | null {
    return this.#options.hasLogProbabilities ? null : this.#sampler;
  }

  get next(): readonly SequenceToken[] {
    return this.#finishReason ? [] : [{ sequence: this.sequences[0], token: this.#tokens.at(-1)! }];
  }

  get continued(): Continued {
    return {
      tokens: this.#tokens,
      finishReason: this.#finishReason,
      ...(this.#options.hasLogProbabilities && { logProbabilities: this.#logProbabilities }),
    };
  }

  async choose(logits: Float32Array): Promise<void> {
    const forced = this.#options.forced[this.#tokens.length];
    const token = forced ?? this.#sampler.next(logits);
    const count = this.#tokens.length;
    this.take(token);
    if (this.#options.hasLogProbabilities && this.#tokens.length > count)
      this.#logProbabilities.push(logits[token]! - logSumExp(logits));
  }

  take(chosen: number): void {
    const { forced, stopTokenIds, maxNewTokens } = this.#options;
    const isForced = this.#tokens.length < forced.length;
    const token = isForced ? forced[this.#tokens.length]! : chosen;
    if (!isForced && stopTokenIds.has(token)) {
      this.#finishReason = "stop";
      return;
    }
    this.#tokens.push(token);
    this.#sampler.observe([token]);
    if (this.#tokens.length >= maxNewTokens) this.#finishReason = "length";
  }
}

/** Tokens that beams search for, each beam in a sequence. */
export class BeamSequence implements Continuation {
  readonly sequences: readonly number[];
  readonly sampler = null;
  readonly #runner: LlmRunner;
  readonly #search: BeamSearch;
  #next: readonly SequenceToken[] = [];
  /** Sequences of the beams, in the order of the search. */
  #beamSequences: readonly number[];
  #isOver = false;

  /** @param sequences as many as beams; the first one holds the prompt */
  constructor(runner: LlmRunner, sequences: readonly number[], options: BeamSearchOptions) {
    this.sequences = sequences;
    this.#runner = runner;
    this.#search = new BeamSearch(options);
    this.#beamSequences = sequences.slice(0, 1);
  }

  get next(): readonly SequenceToken[] {
    return this.#next;
  }

  get continued(): Continued {
    const { tokens, score, finishReason } = this.#search.best;
    return { tokens, score, finishReason: this.#isOver ? finishReason : null };
  }

  /** Beams go on by logits alone. */
  take(): never {
    throw new TypeError("beams choose by logits");
  }

  async choose(logits: Float32Array): Promise<void> {
    const step = this.#search.next(logits);
    if (!step) {
      this.#isOver = true;
      this.#next = [];
      return;
    }
    // The first beam behind a parent goes on in the parent's sequence; others take those that nobody goes on in.
    const isTaken = new Set<number>();
    const parentSequences = step.parents.map((parent) => this.#beamSequences[parent]!);
    const isHeir = parentSequences.map((sequence) => !isTaken.has(sequence) && isTaken.add(sequence));
    const free = this.sequences.filter((sequence) => !isTaken.has(sequence));
    const sequences: number[] = [];
    for (const [beam, from] of parentSequences.entries()) {
      const to = isHeir[beam] ? from : free.pop()!;
      if (to !== from) await this.#runner.fork(from, to);
      sequences.push(to);
    }
    this.#beamSequences = sequences;
    this.#next = sequences.map((sequence, beam) => ({ sequence, token: step.tokens[beam]! }));
  }
}
