/** @file Timing that the benchmarks share: medians, and tasks timed in turn. */

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
