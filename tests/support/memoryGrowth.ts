/** @file Whether work leaves memory behind, apart from the bursts in which the collector grows the heap. */

/** Rounds of the same work. */
const ROUNDS = 4;

/**
 * Resident bytes by which the process grew in the round that grew least. A leak shows in every round; a burst of garbage,
 * of compilation or of another thread's start does not.
 */
export async function leastGrowth(round: (index: number) => Promise<void>): Promise<number> {
  let least = Infinity;
  for (let index = 0; index < ROUNDS; index++) {
    const before = process.memoryUsage().rss;
    await round(index);
    least = Math.min(least, process.memoryUsage().rss - before);
  }
  return least;
}
