/** @file What the parts of a run share: its clock, its events, its signal to stop, and how many steps are done. */
import type { OnEvent } from "./events.ts";

/** How to make a context. */
export interface RunContextOptions {
  onEvent?: OnEvent;
  /** Stops training, with a checkpoint, after the steps under way. */
  signal?: AbortSignal;
  /** Seconds that earlier processes worked on the run. */
  secondsBefore?: number;
}

/** The context of one run in one process. */
export class RunContext {
  readonly onEvent: OnEvent;
  readonly signal: AbortSignal | undefined;
  /** Optimizer steps done. */
  step = 0;
  readonly #origin: number;

  constructor({ onEvent = () => {}, signal, secondsBefore = 0 }: RunContextOptions = {}) {
    this.onEvent = onEvent;
    this.signal = signal;
    this.#origin = performance.now() - 1000 * secondsBefore;
  }

  /** Seconds since the start of the run, over all resumes. */
  readonly clock = (): number => (performance.now() - this.#origin) / 1000;

  /**
   * Does work that is a stretch of the time line.
   * @param detail facts of the stretch, from what the work came to
   */
  async span<T>(
    span: string,
    work: () => Promise<T>,
    detail?: (value: T) => Record<string, number>,
  ): Promise<T> {
    const start = this.clock();
    const value = await work();
    this.spanEnded(span, start, detail?.(value));
    return value;
  }

  /** Reports a stretch of the time line that ends now. */
  spanEnded(span: string, start: number, detail?: Record<string, number>): void {
    const { step } = this;
    this.onEvent({ event: "span", span, start, end: this.clock(), step, ...(detail && { detail }) });
  }

  /** Reports how far a task has come. */
  progress(task: string, done: number, total: number | null, unit: string): void {
    this.onEvent({ event: "progress", task, done, total, unit, rate: null });
  }
}
