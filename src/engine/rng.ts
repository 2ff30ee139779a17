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

/** High 32 bits of an unsigned 32 × 32 product. */
function mulHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const low = aLow * bLow;
  const mid = aHigh * bLow + (low >>> 16);
  const mid2 = aLow * bHigh + (mid % 0x10000);
  return (aHigh * bHigh + Math.floor(mid / 0x10000) + Math.floor(mid2 / 0x10000)) >>> 0;
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
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const high0 = mulHigh(M0, c0);
    const low0 = Math.imul(M0, c0) >>> 0;
    const high1 = mulHigh(M1, c2);
    const low1 = Math.imul(M1, c2) >>> 0;
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0;
    k0 = (k0 + W0) >>> 0;
    k1 = (k1 + W1) >>> 0;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

/** A seeded stream of numbers drawn from Philox blocks in order. Streams of one seed are independent. */
export class Rng {
  readonly #key: [number, number];
  readonly #stream: number;
  readonly #words = new Uint32Array(4);
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
    if (this.#used === 4) {
      const high = Math.floor(this.#block / 0x100000000) >>> 0;
      philox([this.#block >>> 0, high, this.#stream, 0], this.#key, this.#words);
      this.#block++;
      this.#used = 0;
    }
    return this.#words[this.#used++]!;
  }

  /** Uniform in [0, 1) with 24 bits. */
  uniform(): number {
    return (this.uint32() >>> 8) * 2 ** -24;
  }

  /** A whole number in [0, n), without bias. */
  integer(n: number): number {
    const limit = Math.floor(0x100000000 / n) * n;
    for (;;) {
      const word = this.uint32();
      if (word < limit) return word % n;
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
