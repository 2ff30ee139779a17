/**
 * @file Fast random numbers for making data: hashes of 32 bits, a small generator and a Zipf sampler.
 *
 * Not for training (that draws from Philox, the same on every target): these are the inner loop of tens of
 * millions of draws on the host, so they are chosen for speed in JavaScript.
 */
import { Rng } from "../../../base/rng.ts";

/** The 32-bit finalizer of MurmurHash3: a bijection of 32-bit words in which every bit depends on every bit. */
export function mix32(word: number): number {
  let h = word | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Deviation of the sum of the four bytes of a uniform word: √(4·(256² − 1)/12). */
const BYTE_SUM_DEVIATION = Math.sqrt((4 * (256 * 256 - 1)) / 12);

/** Sum of the four bytes of a word, 0…1020: near-normal for a uniform word (Irwin–Hall, n = 4). */
export function byteSum(word: number): number {
  return (word & 0xff) + ((word >>> 8) & 0xff) + ((word >>> 16) & 0xff) + (word >>> 24);
}

/** A near-normal value (mean 0, deviation 1, within ±3.46) that is a pure function of a uniform word. */
export function normalFromWord(word: number): number {
  return (byteSum(word) - 510) / BYTE_SUM_DEVIATION;
}

/** xoshiro128** 1.1 (Blackman and Vigna), seeded from a Philox stream. */
export class FastRng {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  /**
   * @param seed any safe integer
   * @param stream which of the seed's independent streams, a 32-bit unsigned integer
   */
  constructor(seed: number, stream: number) {
    const rng = new Rng(seed, stream);
    this.#a = rng.uint32();
    this.#b = rng.uint32();
    this.#c = rng.uint32();
    this.#d = rng.uint32() | 1; // The all-zero state is the one that never moves.
  }

  /** The next 32-bit word. */
  uint32(): number {
    const times5 = Math.imul(this.#b, 5);
    const result = Math.imul((times5 << 7) | (times5 >>> 25), 9) >>> 0;
    const t = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= t;
    this.#d = (this.#d << 11) | (this.#d >>> 21);
    return result;
  }

  /** Uniform in [0, 1) with 32 random bits. */
  uniform(): number {
    return this.uint32() * 2 ** -32;
  }
}

/**
 * Ranks 0…n−1 with probability proportional to (rank + 1)^−s, in constant time and memory.
 *
 * Rejection-inversion: Hörmann and Derflinger, "Rejection-inversion to generate variates from monotone discrete
 * distributions" (ACM TOMACS 6(3), 1996). Expected draws of the uniform stay below 1.2 for any n.
 */
export class ZipfSampler {
  readonly #n: number;
  readonly #power: number;
  readonly #hFirst: number;
  readonly #hSpan: number;
  readonly #shortcut: number;

  /**
   * @param n how many ranks, at least 1
   * @param s exponent, at least 0; 0 is uniform
   */
  constructor(n: number, s: number) {
    this.#n = n;
    this.#power = 1 - s;
    this.#hFirst = this.#h(1.5) - 1;
    this.#hSpan = this.#h(n + 0.5) - this.#hFirst;
    this.#shortcut = 2 - this.#hInverse(this.#h(2.5) - 2 ** -s);
  }

  /** Integral of x^−s from 1 to x. */
  #h(x: number): number {
    return this.#power === 0 ? Math.log(x) : (x ** this.#power - 1) / this.#power;
  }

  #hInverse(y: number): number {
    return this.#power === 0 ? Math.exp(y) : (1 + this.#power * y) ** (1 / this.#power);
  }

  /** The next rank. */
  sample(rng: FastRng): number {
    if (this.#n === 1) return 0;
    for (;;) {
      const u = this.#hFirst + rng.uniform() * this.#hSpan;
      const x = this.#hInverse(u);
      const k = Math.min(Math.max(Math.floor(x + 0.5), 1), this.#n);
      if (k - x <= this.#shortcut || u >= this.#h(k + 0.5) - k ** (this.#power - 1)) return k - 1;
    }
  }
}
