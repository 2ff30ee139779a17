/**
 * @file A text that is being continued on a runner, whichever way its tokens are chosen: one after the other
 * (`SampledText`), or by beams that each have a seat (`SearchedText`).
 */
import type { LlmRunner, TextToken } from "../runner/runner.ts";
import { BeamSearch, type BeamSearchOptions } from "./beamSearch.ts";
import type { Sampler } from "./sampler.ts";

/** Why a text is over. */
export type EndedBy = "length" | "end-token" | "signal";

/** What a text has come to. */
export interface Continued {
  /** Without the end token. */
  tokens: readonly number[];
  endedBy: EndedBy;
  /** Of beams: the mean log-probability of the tokens, the end token included. */
  score?: number;
}

/** A text and how it goes on. */
export interface Continuation {
  readonly seats: readonly number[];
  /** What its seats read next; none when the text is over. */
  readonly next: readonly TextToken[];
  readonly continued: Continued;
  /** Chooses by the logits `[next or 1 after the prompt, vocabulary]`. */
  choose(logits: Float32Array): Promise<void>;
  /** Goes on with the most probable token; null where logits are needed. */
  readonly take: ((token: number) => void) | null;
}

/** A text whose tokens are taken or drawn one after the other. */
export class SampledText implements Continuation {
  readonly seats: readonly [number];
  readonly #sampler: Sampler;
  readonly #options: { maxNewTokens: number; endTokens: readonly number[] };
  readonly #tokens: number[] = [];
  #endedBy: "length" | "end-token" | null = null;

  constructor(
    seat: number,
    sampler: Sampler,
    options: { maxNewTokens: number; endTokens: readonly number[] },
  ) {
    this.seats = [seat];
    this.#sampler = sampler;
    this.#options = options;
  }

  get take(): ((token: number) => void) | null {
    return this.#sampler.isGreedy ? this.#take : null;
  }

  get next(): readonly TextToken[] {
    return this.#endedBy ? [] : [{ seat: this.seats[0], token: this.#tokens.at(-1)! }];
  }

  get continued(): Continued {
    return { tokens: this.#tokens, endedBy: this.#endedBy ?? "signal" };
  }

  async choose(logits: Float32Array): Promise<void> {
    this.#take(this.#sampler.next(logits));
  }

  readonly #take = (token: number): void => {
    if (this.#options.endTokens.includes(token)) {
      this.#endedBy = "end-token";
      return;
    }
    this.#tokens.push(token);
    if (this.#tokens.length >= this.#options.maxNewTokens) this.#endedBy = "length";
  };
}

/** A text that beams search for, each in a seat. */
export class SearchedText implements Continuation {
  readonly seats: readonly number[];
  readonly take = null;
  readonly #runner: LlmRunner;
  readonly #search: BeamSearch;
  #next: readonly TextToken[] = [];
  /** Seats of the beams, in the order of the search. */
  #beamSeats: readonly number[];
  #isOver = false;

  /** @param seats as many as beams; the first one holds the prompt */
  constructor(runner: LlmRunner, seats: readonly number[], options: BeamSearchOptions) {
    this.seats = seats;
    this.#runner = runner;
    this.#search = new BeamSearch(options);
    this.#beamSeats = seats.slice(0, 1);
  }

  get next(): readonly TextToken[] {
    return this.#next;
  }

  get continued(): Continued {
    const { tokens, score, endedBy } = this.#search.best;
    return { tokens, score, endedBy: this.#isOver ? endedBy : "signal" };
  }

  async choose(logits: Float32Array): Promise<void> {
    const step = this.#search.next(logits);
    if (!step) {
      this.#isOver = true;
      this.#next = [];
      return;
    }
    // The first beam behind a parent goes on in the parent's seat; others take the seats that nobody goes on in.
    const isTaken = new Set<number>();
    const parentSeats = step.parents.map((parent) => this.#beamSeats[parent]!);
    const isHeir = parentSeats.map((seat) => !isTaken.has(seat) && isTaken.add(seat));
    const free = this.seats.filter((seat) => !isTaken.has(seat));
    const seats: number[] = [];
    for (const [beam, from] of parentSeats.entries()) {
      const to = isHeir[beam] ? from : free.pop()!;
      if (to !== from) await this.#runner.fork(from, to);
      seats.push(to);
    }
    this.#beamSeats = seats;
    this.#next = seats.map((seat, beam) => ({ seat, token: step.tokens[beam]! }));
  }
}
