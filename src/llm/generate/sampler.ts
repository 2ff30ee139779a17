/**
 * @file Chooses the next token from logits: the most probable one, or one drawn after temperature, top-k and top-p,
 * in this order. Draws are Philox numbers of a seed, so a seed gives the same text on every machine that computes the
 * same logits.
 */
import { Rng } from "../../engine/rng.ts";
import { argmax } from "./logits.ts";

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
    const weights = Float64Array.from(logits, (x) => Math.exp((x - logits[best]!) / temperature));
    // Most probable first; of equals the lower token, so that the order is the same everywhere.
    const order = Array.from(weights.keys());
    if (topK < weights.length || topP < 1) order.sort((a, b) => weights[b]! - weights[a]! || a - b);
    order.length = Math.min(order.length, topK);
    let total = order.reduce((sum, token) => sum + weights[token]!, 0);
    if (topP < 1) {
      let sum = 0;
      const end = order.findIndex((token) => (sum += weights[token]!) >= topP * total);
      if (end >= 0) {
        order.length = end + 1;
        total = sum;
      }
    }
    let left = this.#rng.uniform() * total;
    for (const token of order) if ((left -= weights[token]!) < 0) return token;
    return order.findLast((token) => weights[token]! > 0)!;
  }
}
