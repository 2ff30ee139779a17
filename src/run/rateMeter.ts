/** @file How fast something moves on: units a second over the last few seconds. */

const WINDOW_MS = 5000;

/** Measures a rate from rising counts. */
export class RateMeter {
  readonly #points: { count: number; at: number }[] = [];

  /**
   * Takes a count at a time in milliseconds.
   * @returns units a second over the window; null before there are two points
   */
  observe(count: number, at: number): number | null {
    this.#points.push({ count, at });
    while (this.#points.length > 2 && at - this.#points[1]!.at > WINDOW_MS) this.#points.shift();
    const first = this.#points[0]!;
    return at > first.at ? ((count - first.count) / (at - first.at)) * 1000 : null;
  }
}
