/**
 * @file Percentile intervals of means by the bootstrap (Efron 1979): items are drawn anew, with replacement, as many as
 * there are. All ways of caching are measured on the same items and drawn with the same indices, so differences between
 * them are paired.
 */
import { Rng } from "../../base/rng.ts";

/** A mean with its 95 % interval. */
export interface Interval {
  mean: number;
  low: number;
  high: number;
}

/** Draws of items, the same for every array of values. */
export class Bootstrap {
  readonly #items: number;
  readonly #draws: Uint32Array;
  readonly #resamples: number;

  /** @param items at least one */
  constructor(items: number, { resamples = 2000, seed = 0 }: { resamples?: number; seed?: number } = {}) {
    this.#items = items;
    this.#resamples = resamples;
    const rng = new Rng(seed);
    this.#draws = Uint32Array.from({ length: items * resamples }, () => rng.integer(items));
  }

  /** The mean of the items' values and where 95 % of the means of draws lie. @param values one for each item */
  interval(values: ArrayLike<number>): Interval {
    const items = this.#items;
    const means = new Float64Array(this.#resamples);
    for (let r = 0, at = 0; r < means.length; r++) {
      let sum = 0;
      for (let i = 0; i < items; i++, at++) sum += values[this.#draws[at]!]!;
      means[r] = sum / items;
    }
    means.sort();
    let sum = 0;
    for (let i = 0; i < items; i++) sum += values[i]!;
    const at = (share: number) => means[Math.min(means.length - 1, Math.floor(share * means.length))]!;
    return { mean: sum / items, low: at(0.025), high: at(0.975) };
  }

  /** The mean difference a − b of items, with its interval. */
  difference(a: ArrayLike<number>, b: ArrayLike<number>): Interval {
    return this.interval(Float64Array.from(a, (value, i) => value - b[i]!));
  }
}
