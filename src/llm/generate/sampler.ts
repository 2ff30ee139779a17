/**
 * @file Chooses the next token from logits: the most probable one, or one drawn after temperature, top-k and top-p,
 * in this order. Draws are Philox numbers of a seed, so a seed gives the same text on every machine that computes the
 * same logits.
 */
import { Rng } from "../../base/rng.ts";
import { argmax, largest } from "./logits.ts";

/** How tokens are chosen. */
export interface SamplerOptions {
  /** What logits are divided by; 0 takes the most probable token. Defaults to 0. */
  temperature?: number;
  /** Only so many of the most probable tokens may be drawn; all when left out. */
  topK?: number;
  /** Only the most probable tokens that together reach this probability may be drawn (Holtzman et al. 2020). Defaults to 1. */
  topP?: number;
  /** Defaults to 0. */
  seed?: number;
}

/** Stream of a seed's numbers, apart from those of other uses. */
const STREAM = 0x73616d70;

/** Tokens that are put in order first, and then, to find those that reach a probability. */
const FIRST_TOKENS = 64;
const MORE_TOKENS = 1024;

/** Chooses tokens one after the other. */
export class Sampler {
  readonly #options: Required<Omit<SamplerOptions, "seed">>;
  readonly #rng: Rng;

  constructor({ temperature = 0, topK = Number.POSITIVE_INFINITY, topP = 1, seed = 0 }: SamplerOptions = {}) {
    this.#options = { temperature, topK, topP };
    this.#rng = new Rng(seed, STREAM);
  }

  /** Whether it always takes the most probable token. */
  get isGreedy(): boolean {
    return this.#options.temperature === 0 || this.#options.topK === 1;
  }

  /** @param logits `[vocabulary]` @throws ParetoError LLM_LOGITS */
  next(logits: Float32Array): number {
    const { temperature, topK, topP } = this.#options;
    const best = argmax(logits);
    if (this.isGreedy) return best;
    const weight = (token: number) => Math.exp((logits[token]! - logits[best]!) / temperature);
    // Most probable first, of equals the lower token, so that the order is the same everywhere; null for all tokens.
    let drawn = topK < logits.length ? largest(logits, topK) : null;
    let total = 0;
    if (drawn) for (const token of drawn) total += weight(token);
    else for (let token = 0; token < logits.length; token++) total += weight(token);
    if (topP < 1) {
      drawn = nucleus(logits, drawn, weight, topP * total);
      total = drawn.reduce((sum, token) => sum + weight(token), 0);
    }
    let left = this.#rng.uniform() * total;
    // Rounding may leave a rest behind the last token.
    let last = best;
    for (let i = 0; i < (drawn ?? logits).length; i++) {
      const token = drawn ? drawn[i]! : i;
      const share = weight(token);
      if ((left -= share) < 0) return token;
      if (share > 0) last = token;
    }
    return last;
  }
}

/** The most probable tokens that together reach a weight, of those given or of all. */
function nucleus(
  logits: Float32Array,
  given: readonly number[] | null,
  weight: (token: number) => number,
  wanted: number,
): number[] {
  // Few tokens have most of the weight, so not all need be put in order.
  let order = given ?? largest(logits, FIRST_TOKENS);
  for (;;) {
    let sum = 0;
    const end = order.findIndex((token) => (sum += weight(token)) >= wanted);
    if (end >= 0) return order.slice(0, end + 1);
    if (given || order.length === logits.length) return [...order];
    order = largest(logits, order.length === FIRST_TOKENS ? MORE_TOKENS : logits.length);
  }
}

/**
 * The next token of each row.
 * @param logits `[rows, vocabSize]`
 * @param samplers one a row; the most probable tokens where left out
 * @throws ParetoError LLM_LOGITS
 */
export function chooseTokens(
  logits: Float32Array,
  vocabSize: number,
  samplers?: readonly Sampler[],
): Int32Array {
  return Int32Array.from({ length: logits.length / vocabSize }, (_, row) => {
    const own = logits.subarray(row * vocabSize, (row + 1) * vocabSize);
    return samplers ? samplers[row]!.next(own) : argmax(own);
  });
}
