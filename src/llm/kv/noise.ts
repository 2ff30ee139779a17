/**
 * @file Noise for scoring, a pure function of seed, stream, layer, head, query position and key position.
 *
 * One Philox4x32-10 block a draw: key = seed (low, high), counter = (key position, query position,
 * layer · 2^16 + head, stream). So the noise of a pair of tokens is the same for every chunk size, batch order and
 * device, and may be made again at will. Uniforms are ((word >>> 9) + ½) · 2^-23, exact in float32 and never 0 or 1.
 */
import { philox } from "../../base/rng.ts";
import type { NoiseKind } from "./policy.ts";

/** Mean of Gumbel(0, 1), Euler's constant. */
const GUMBEL_MEAN = 0.5772156649015329;
/** Deviation of Gumbel(0, 1), π / √6. */
const GUMBEL_DEVIATION = Math.PI / Math.sqrt(6);
/** Query position of draws that belong to a key alone and are no scoring noise; no query has it. */
const NO_QUERY = 0xffffffff;

/** What the draws of a sequence are keyed by. */
export interface NoiseKey {
  /** A whole number of at most 64 bits. */
  seed: number | bigint;
  /** Which of the seed's independent streams, a 32-bit unsigned integer; never the row of a batch. */
  stream: number;
}

/** A uniform of (0, 1) from a 32-bit word, one of 2^23 values. */
export function openUniform(word: number): number {
  return ((word >>> 9) + 0.5) * 2 ** -23;
}

/** Gumbel(0, 1) from a 32-bit word: −ln(−ln u), between −2.8115 and 16.6355. */
export function gumbelOfWord(word: number): number {
  return -Math.log(-Math.log(openUniform(word)));
}

/** Draws for the pairs of tokens of one layer of one sequence. */
export class PairNoise {
  readonly #key: [number, number];
  readonly #stream: number;
  readonly #layer: number;
  readonly #counter: [number, number, number, number] = [0, 0, 0, 0];
  readonly #words = new Uint32Array(4);

  constructor(key: NoiseKey, layer: number) {
    const seed = BigInt.asUintN(64, BigInt(key.seed));
    this.#key = [Number(seed & 0xffffffffn), Number(seed >> 32n)];
    this.#stream = key.stream >>> 0;
    this.#layer = layer;
  }

  /** Words of the seed, and the stream. */
  get key(): { low: number; high: number; stream: number } {
    return { low: this.#key[0], high: this.#key[1], stream: this.#stream };
  }

  #draw(head: number, queryPosition: number, keyPosition: number): void {
    const counter = this.#counter;
    counter[0] = keyPosition;
    counter[1] = queryPosition;
    counter[2] = (this.#layer << 16) | head;
    counter[3] = this.#stream;
    philox(counter, this.#key, this.#words);
  }

  /** The noise of one query head's logit. */
  sample(kind: NoiseKind, head: number, queryPosition: number, keyPosition: number): number {
    if (kind === "none") return 0;
    if (kind === "constant") return GUMBEL_MEAN;
    this.#draw(head, queryPosition, keyPosition);
    if (kind === "gumbel") return gumbelOfWord(this.#words[0]!);
    // Box and Muller's, from two words of the block.
    const radius = Math.sqrt(-2 * Math.log(openUniform(this.#words[0]!)));
    const normal = radius * Math.cos(2 * Math.PI * openUniform(this.#words[1]!));
    return GUMBEL_MEAN + GUMBEL_DEVIATION * normal;
  }

  /** A uniform of (0, 1) for an entry of one KV head, whatever asks for it. */
  uniform(kvHead: number, keyPosition: number): number {
    this.#draw(kvHead, NO_QUERY, keyPosition);
    return openUniform(this.#words[0]!);
  }
}
