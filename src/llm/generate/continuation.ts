/**
 * @file A text that is being continued on a runner, whichever way its tokens are chosen: one after the other
 * (`SampledText`), or by beams that each have a sequence (`SearchedText`).
 */
import type { LlmRunner, SequenceToken } from "../runner/runner.ts";
import { BeamSearch, type BeamSearchOptions } from "./beamSearch.ts";
import type { Sampler } from "./sampler.ts";

/** Why a text is over. */
export type FinishReason = "stop" | "length" | "abort";

/** What a text has come to. */
export interface Continued {
  /** Without the end token. */
  tokens: readonly number[];
  finishReason: FinishReason;
  /** Of beams: the mean log-probability of the tokens, the end token included. */
  score?: number;
}

/** A text and how it goes on. */
export interface Continuation {
  readonly sequences: readonly number[];
  /** What its sequences read next; none when the text is over. */
  readonly next: readonly SequenceToken[];
  readonly continued: Continued;
  /** Chooses by the logits `[next or 1 after the prompt, vocabulary]`. */
  choose(logits: Float32Array): Promise<void>;
  /** Goes on with the most probable token; null where logits are needed. */
  readonly take: ((token: number) => void) | null;
}

/** A text whose tokens are taken or drawn one after the other. */
export class SampledSequence implements Continuation {
  readonly sequences: readonly [number];
  readonly #sampler: Sampler;
  readonly #options: { maxNewTokens: number; eosTokenIds: readonly number[] };
  readonly #tokens: number[] = [];
  #finishReason: "length" | "stop" | null = null;

  constructor(
    sequence: number,
    sampler: Sampler,
    options: { maxNewTokens: number; eosTokenIds: readonly number[] },
  ) {
    this.sequences = [sequence];
    this.#sampler = sampler;
    this.#options = options;
  }

  get take(): ((token: number) => void) | null {
    return this.#sampler.isGreedy ? this.#take : null;
  }

  get next(): readonly SequenceToken[] {
    return this.#finishReason ? [] : [{ sequence: this.sequences[0], token: this.#tokens.at(-1)! }];
  }

  get continued(): Continued {
    return { tokens: this.#tokens, finishReason: this.#finishReason ?? "abort" };
  }

  async choose(logits: Float32Array): Promise<void> {
    this.#take(this.#sampler.next(logits));
  }

  readonly #take = (token: number): void => {
    if (this.#options.eosTokenIds.includes(token)) {
      this.#finishReason = "stop";
      return;
    }
    this.#tokens.push(token);
    if (this.#tokens.length >= this.#options.maxNewTokens) this.#finishReason = "length";
  };
}

/** A text that beams search for, each in a sequence. */
export class BeamSequence implements Continuation {
  readonly sequences: readonly number[];
  readonly take = null;
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
    return { tokens, score, finishReason: this.#isOver ? finishReason : "abort" };
  }

  async choose(logits: Float32Array): Promise<void> {
    const step = this.#search.next(logits);
    if (!step) {
      this.#isOver = true;
      this.#next = [];
      return;
    }
    // The first beam behind a parent goes on in the parent's sequence; others take the sequences that nobody goes on in.
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
