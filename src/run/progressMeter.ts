/** @file How far a task has come, reported a few times a second with its rate over the last few seconds. */
import type { ProgressEvent } from "./events.ts";

/** Progress is reported at most this often. */
const INTERVAL_MS = 100;
/** The rate is measured over this time. */
const WINDOW_MS = 5000;

/** Turns rising counts into progress events. */
export class ProgressMeter {
  readonly #points: { done: number; at: number }[] = [];
  #reportedAt = Number.NEGATIVE_INFINITY;

  /**
   * Takes a count.
   * @param at milliseconds, rising
   * @returns the event to report; null where the last one was reported a moment ago
   */
  observe(
    progress: Omit<ProgressEvent, "event" | "rate">,
    at: number = performance.now(),
  ): ProgressEvent | null {
    if (at - this.#reportedAt < INTERVAL_MS) return null;
    this.#reportedAt = at;
    return { event: "progress", ...progress, rate: this.#rate(progress.done, at) };
  }

  /** Units a second over the window; null before there are two points. */
  #rate(done: number, at: number): number | null {
    this.#points.push({ done, at });
    while (this.#points.length > 2 && at - this.#points[1]!.at > WINDOW_MS) this.#points.shift();
    const first = this.#points[0]!;
    return at > first.at ? ((done - first.done) / (at - first.at)) * 1000 : null;
  }
}
