/**
 * @file Philox4x32-10, the counter-based generator used on every target.
 *
 * Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC'11). A block of four 32-bit words is a pure
 * function of a 128-bit counter and a 64-bit key, so a seed gives the same numbers whatever the thread count or
 * the device. Uniform floats use the top 24 bits: u = (word >>> 8) · 2^-24, in [0, 1).
 */

const M0 = 0xd2511f53;
const M1 = 0xcd9e8d57;
const W0 = 0x9e3779b9;
const W1 = 0xbb67ae85;

/** High 32 bits of an unsigned 32 × 32 product, from products of halves that each fit 32 bits. */
function mulHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const mid = Math.imul(aHigh, bLow) + (Math.imul(aLow, bLow) >>> 16);
  const mid2 = Math.imul(aLow, bHigh) + (mid & 0xffff);
  return (Math.imul(aHigh, bHigh) + (mid >>> 16) + (mid2 >>> 16)) | 0;
}

/** Puts a block at element `at` of an array. */
function putBlock(
  c0: number,
  c1: number,
  c2: number,
  c3: number,
  k0: number,
  k1: number,
  out: Uint32Array,
  at: number,
): void {
  for (let round = 0; round < 10; round++) {
    const high0 = mulHigh(M0, c0);
    const low0 = Math.imul(M0, c0);
    const high1 = mulHigh(M1, c2);
    const low1 = Math.imul(M1, c2);
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 = (k0 + W0) | 0;
    k1 = (k1 + W1) | 0;
  }
  out[at] = c0;
  out[at + 1] = c1;
  out[at + 2] = c2;
  out[at + 3] = c3;
}

/**
 * One Philox4x32-10 block.
 * @param counter four unsigned 32-bit words
 * @param key two unsigned 32-bit words
 * @param out receives four unsigned 32-bit words
 */
export function philox(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
  out: Uint32Array,
): void {
  putBlock(counter[0], counter[1], counter[2], counter[3], key[0], key[1], out, 0);
}

/** Most words that a stream makes at once; its first call makes one block, as many streams are asked for little. */
const MOST_WORDS = 1024;

/** A seeded stream of numbers drawn from Philox blocks in order. Streams of one seed are independent. */
export class Rng {
  readonly #key: [number, number];
  readonly #stream: number;
  #words = new Uint32Array(4);
  #block = 0;
  #used = 4;

  /**
   * @param seed any safe integer
   * @param stream which of the seed's independent streams, a 32-bit unsigned integer
   */
  constructor(seed: number, stream = 0) {
    this.#key = [seed >>> 0, Math.floor(seed / 0x100000000) >>> 0];
    this.#stream = stream >>> 0;
  }

  /** The next 32-bit word. */
  uint32(): number {
    if (this.#used === this.#words.length) this.#refill();
    return this.#words[this.#used++]!;
  }

  #refill(): void {
    const [low, high] = this.#key;
    if (this.#block > 0 && this.#words.length < MOST_WORDS) {
      this.#words = new Uint32Array(4 * this.#words.length);
    }
    for (let at = 0; at < this.#words.length; at += 4, this.#block++) {
      const over = Math.floor(this.#block / 0x100000000);
      putBlock(this.#block | 0, over | 0, this.#stream, 0, low, high, this.#words, at);
    }
    this.#used = 0;
  }

  /** Uniform in [0, 1) with 24 bits. */
  uniform(): number {
    return (this.uint32() >>> 8) * 2 ** -24;
  }

  /** A whole number in [0, n), without bias. */
  integer(n: number): number {
    for (;;) {
      const word = this.uint32();
      const rest = word % n;
      // Words past the last whole run of n would favour its first numbers.
      if (word - rest <= 0x100000000 - n) return rest;
    }
  }

  /** Normal with mean 0 and deviation 1 (Box–Muller; the second value of a pair is not kept). */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return radius * Math.cos(2 * Math.PI * this.uniform());
  }

  /** Shuffles in place (Fisher–Yates) and returns the same array. */
  shuffle<T extends { length: number; [index: number]: number }>(items: T): T {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      const held = items[i]!;
      items[i] = items[j]!;
      items[j] = held;
    }
    return items;
  }
}

/**
 * Fills an array with uniform floats in [0, 1): element i is word i mod 4 of block i div 4 of the key's stream.
 * @param key seed low, seed high, stream, step; taken as unsigned 32-bit words
 */
export function fillUniform(out: Float32Array | Float64Array, key: ArrayLike<number>): void {
  const words = new Uint32Array(4);
  const [low, high, stream, step] = Array.from(key, (word) => word >>> 0) as [number, number, number, number];
  for (let i = 0; i < out.length; i += 4) {
    philox([i / 4, 0, stream, step], [low, high], words);
    for (let j = 0; j < 4 && i + j < out.length; j++) out[i + j] = (words[j]! >>> 8) * 2 ** -24;
  }
}
