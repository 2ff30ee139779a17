/** @file What the benchmarks share: medians, interleaved timing, and how a result reads in the table. */

/** One line of the table. */
export interface BenchRow {
  case: string;
  /** What was measured, in words. */
  size: string;
  /** Median of a step or of the whole, milliseconds; null for what could not be measured. */
  milliseconds: number | null;
  figure: string;
  /** What it is related to, measured in the same run. */
  limit: string;
  /** Figure over limit; null when there was nothing to relate it to. */
  ratio: number | null;
  /** What the ratio, or the figure when there is none, should be. */
  target: string;
  /** Whether the target is met; null when the line has none. */
  met: boolean | null;
}

/** The middle value (the upper one of two). */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

/** Milliseconds that a task takes. */
export async function millisecondsOf(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** Calls of one task in a row, and how many of them are not counted. */
const BLOCK = 12;
const WARM_UP = 4;

/**
 * Times tasks in turn, a block of calls each, so that what else the machine does falls on all of them alike. The
 * first calls of a block are not counted: threads of the task before still spin then.
 * @returns milliseconds of each counted call of each task
 */
export async function interleave(
  rounds: number,
  tasks: readonly (() => Promise<unknown>)[],
): Promise<number[][]> {
  const times = tasks.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, task] of tasks.entries()) {
      for (let call = 0; call < BLOCK; call++) {
        const milliseconds = await millisecondsOf(task);
        if (call >= WARM_UP) times[i]!.push(milliseconds);
      }
    }
  }
  return times;
}
