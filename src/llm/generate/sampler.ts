/**
 * @file Chooses the next token from logits: the most probable one, or one drawn after temperature, top-k, top-p, min-p
 * and typical-p, in this order; before all, tokens that the text has are penalised. The formulas and their order are
 * those of Hugging Face transformers' logits processors. Draws are Philox numbers of a seed, so a seed gives the same
 * text on every machine that computes the same logits.
 */
import { Rng } from "../../base/rng.ts";
import { argmax, largest } from "./logits.ts";
import { type NumberRule, requireNumbers } from "../optionChecks.ts";

/** How tokens are chosen. */
export interface SamplerOptions {
  /** What logits are divided by; 0 takes the most probable token. Defaults to 0. */
  temperature?: number;
  /** Only so many of the most probable tokens may be drawn, and those as probable as the last of them; 0 for all. Defaults to 0. */
  topK?: number;
  /** Only the most probable tokens that together reach this probability may be drawn (Holtzman et al. 2020). Defaults to 1. */
  topP?: number;
  /** Only tokens with this share of the most probable one's probability may be drawn (Nguyen et al. 2024). Defaults to 0. */
  minP?: number;
  /**
   * Only tokens whose information is nearest to the entropy, and that together reach this probability, may be drawn
   * (Meister et al. 2022). Defaults to 1.
   */
  typicalP?: number;
  /**
   * Logits of tokens that the prompt or the new text has are divided by this where they are positive, and multiplied
   * where they are negative (Keskar et al. 2019). Defaults to 1.
   */
  repetitionPenalty?: number;
  /** Defaults to 0. */
  seed?: number;
}

const rules: Readonly<Record<keyof SamplerOptions, NumberRule>> = {
  temperature: { min: 0 },
  topK: { min: 0, isWhole: true },
  topP: { min: 0, max: 1 },
  minP: { min: 0, max: 1 },
  typicalP: { above: 0, max: 1 },
  repetitionPenalty: { above: 0 },
  seed: { min: 0, isWhole: true },
};

/** Stream of a seed's numbers, apart from those of other uses. */
const STREAM = 0x73616d70;

/** Tokens that are put in order first, and then, to find those that reach a probability. */
const FIRST_TOKENS = 64;
const MORE_TOKENS = 1024;

/** What a token is drawn from. */
interface Candidates {
  /** The most probable token. */
  best: number;
  /** Most probable first, of equals the lower token, so that the order is the same everywhere; null for all tokens. */
  tokens: readonly number[] | null;
  /** Sum of their weights. */
  total: number;
  weight: (token: number) => number;
}

/** Chooses tokens one after the other. */
export class Sampler {
  readonly #options: Required<Omit<SamplerOptions, "seed">>;
  readonly #rng: Rng;
  /** Tokens of the text, where they are penalised. */
  readonly #seen = new Set<number>();

  /** @throws ParetoError LLM_OPTION */
  constructor(options: SamplerOptions = {}) {
    requireNumbers("Sampler", options, rules);
    const { temperature = 0, topK = 0, topP = 1, minP = 0, typicalP = 1 } = options;
    const { repetitionPenalty = 1, seed = 0 } = options;
    this.#options = { temperature, topK, topP, minP, typicalP, repetitionPenalty };
    this.#rng = new Rng(seed, STREAM);
  }

  /** Whether it always takes the most probable token, whatever the text. */
  get isGreedy(): boolean {
    return this.#isMostProbable && !this.penalises;
  }

  /** Whether it must be told of the text's tokens. */
  get penalises(): boolean {
    return this.#options.repetitionPenalty !== 1;
  }

  get #isMostProbable(): boolean {
    return this.#options.temperature === 0 || this.#options.topK === 1;
  }

  /** Tells of tokens that the text has: those of the prompt, and each new one. */
  observe(tokens: Iterable<number>): void {
    if (this.penalises) for (const token of tokens) this.#seen.add(token);
  }

  /** @param given logits `[vocabulary]` @throws ParetoError LLM_LOGITS */
  next(given: Float32Array): number {
    const logits = this.penalises ? this.#penalised(given) : given;
    if (this.#isMostProbable) return argmax(logits);
    const { best, tokens, total, weight } = this.#candidates(logits);
    let left = this.#rng.uniform() * total;
    // Rounding may leave a rest behind the last token.
    let last = tokens ? tokens[0]! : best;
    for (let i = 0; i < (tokens ?? logits).length; i++) {
      const token = tokens ? tokens[i]! : i;
      const share = weight(token);
      if ((left -= share) < 0) return token;
      if (share > 0) last = token;
    }
    return last;
  }

  /**
   * The probability by which each token would be drawn.
   * @param given logits `[vocabulary]`
   * @throws ParetoError LLM_LOGITS
   */
  probabilities(given: Float32Array): Float64Array {
    const logits = this.penalises ? this.#penalised(given) : given;
    const probabilities = new Float64Array(logits.length);
    if (this.#isMostProbable) {
      probabilities[argmax(logits)] = 1;
      return probabilities;
    }
    const { tokens, total, weight } = this.#candidates(logits);
    for (const token of tokens ?? allOf(logits)) probabilities[token] = weight(token) / total;
    return probabilities;
  }

  #candidates(logits: Float32Array): Candidates {
    const { temperature, topK, topP, minP, typicalP } = this.#options;
    const best = argmax(logits);
    const weight = (token: number) => Math.exp((logits[token]! - logits[best]!) / temperature);
    const sum = (tokens: readonly number[]) => tokens.reduce((total, token) => total + weight(token), 0);
    let tokens = topK > 0 && topK < logits.length ? withEquals(logits, largest(logits, topK)) : null;
    let total = 0;
    if (tokens) total = sum(tokens);
    else for (let token = 0; token < logits.length; token++) total += weight(token);
    if (topP < 1) {
      tokens = nucleus(logits, tokens, weight, topP * total);
      total = sum(tokens);
    }
    if (minP > 0) {
      tokens = (tokens ?? allOf(logits)).filter((token) => token === best || weight(token) >= minP);
      total = sum(tokens);
    }
    if (typicalP < 1) {
      tokens = typical(tokens ?? allOf(logits), weight, total, typicalP);
      total = sum(tokens);
    }
    return { best, tokens, total, weight };
  }

  /** The logits with those of the text's tokens made less probable. */
  #penalised(given: Float32Array): Float32Array {
    const penalty = Math.fround(this.#options.repetitionPenalty);
    const logits = given.slice();
    for (const token of this.#seen) {
      const x = logits[token];
      if (x !== undefined) logits[token] = x < 0 ? x * penalty : x / penalty;
    }
    return logits;
  }
}

function allOf(logits: Float32Array): number[] {
  return Array.from(logits, (_, token) => token);
}

/** The most probable tokens, and those behind them that are as probable as the last one. */
function withEquals(logits: Float32Array, most: number[]): number[] {
  const last = most.at(-1)!;
  const least = logits[last]!;
  // Of equals the lower tokens are among them already.
  for (let token = last + 1; token < logits.length; token++) if (logits[token] === least) most.push(token);
  return most;
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
 * The tokens whose information −ln p is nearest to the entropy and that together reach a probability; those as near as
 * the last of them too.
 */
function typical(
  given: readonly number[],
  weight: (token: number) => number,
  total: number,
  mass: number,
): number[] {
  const shares = given.map((token) => weight(token) / total);
  const entropy = shares.reduce((sum, p) => (p > 0 ? sum - p * Math.log(p) : sum), 0);
  const distances = shares.map((p) => Math.abs(-Math.log(p) - entropy));
  const order = given.map((_, i) => i).sort((a, b) => distances[a]! - distances[b]! || a - b);
  let sum = 0;
  const end = order.findIndex((i) => (sum += shares[i]!) >= mass);
  const farthest = distances[order.at(end)!]!;
  return given.filter((_, i) => distances[i]! <= farthest);
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
