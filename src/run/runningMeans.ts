/** @file Means over the steps since they were last taken, for the points of a training curve. */
import type { Quality } from "./task.ts";

/** Sums of figures and of what they are sums over. */
export class RunningMeans {
  #logLoss = 0;
  #right: number | null = null;
  #count = 0;

  /**
   * Takes a batch.
   * @param count what the means are over @param logLoss summed over it @param right how many were predicted rightly
   */
  add(count: number, logLoss: number, right?: number): void {
    this.#count += count;
    this.#logLoss += logLoss;
    if (right !== undefined) this.#right = (this.#right ?? 0) + right;
  }

  /** The means, and a fresh start; null when there was nothing. */
  take(): Quality | null {
    if (this.#count === 0) return null;
    const logLoss = this.#logLoss / this.#count;
    const quality: Quality =
      this.#right === null ? { logLoss } : { logLoss, accuracy: this.#right / this.#count };
    this.#logLoss = 0;
    this.#right = null;
    this.#count = 0;
    return quality;
  }
}
