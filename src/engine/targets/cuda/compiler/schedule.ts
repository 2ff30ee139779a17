/**
 * @file The order of jobs, and which of them share a launch.
 *
 * Jobs run in the order of the graph, so that memory is free again as early as there. Generated jobs that are ready at
 * the same time share a launch. What only the end of the program needs (a bias gradient, an optimizer's update) waits
 * for its like, so that the updates of all parameters become one launch, unless waiting would hold much memory.
 */

/** Something to launch, and what comes before it. */
export interface Job {
  /** Place in the graph. */
  readonly order: number;
  readonly after: Set<Job>;
  /** Generated code may share a launch. */
  readonly isGenerated: boolean;
  /** Elements that it computes or reads, whichever are more. */
  readonly elements: number;
  /** Parameters of its code. */
  readonly parameters: number;
  /** Bytes of scratch memory that it reads. */
  readonly heldBytes: number;
}

/** Jobs of more elements keep the GPU busy alone. */
const SHARED_ELEMENTS_MAX = 2 ** 22;
/** Parameters of a launch; the driver takes 4 KiB of them. */
const PARAMETERS_MAX = 400;
/** Sections of a launch. */
const SECTIONS_MAX = 64;
/** A job that holds more scratch memory than this does not wait. */
const HELD_BYTES_MAX = 2 ** 24;

/** Orders jobs; each inner list is one launch. */
export function schedule<T extends Job>(jobs: readonly T[]): T[][] {
  const followers = new Map<Job, T[]>(jobs.map((job) => [job, []]));
  for (const job of jobs) for (const before of job.after) followers.get(before)!.push(job);
  const waits = waiting(jobs, followers);
  const open = new Map<T, number>(jobs.map((job) => [job, job.after.size]));
  const ready = new Set(jobs.filter((job) => job.after.size === 0));
  const launches: T[][] = [];
  while (ready.size > 0) {
    const launch = next(ready, waits);
    launches.push(launch);
    for (const job of launch) {
      ready.delete(job);
      for (const follower of followers.get(job)!) {
        const left = open.get(follower)! - 1;
        open.set(follower, left);
        if (left === 0) ready.add(follower);
      }
    }
  }
  return launches;
}

/** Jobs that nothing but generated jobs at the end of the program follows. */
function waiting<T extends Job>(jobs: readonly T[], followers: ReadonlyMap<Job, readonly T[]>): Set<Job> {
  const waits = new Set<Job>();
  const settled = new Set<Job>();
  const visit = (start: T) => {
    const stack: T[] = [start];
    while (stack.length > 0) {
      const job = stack.at(-1)!;
      const left = followers.get(job)!.filter((follower) => !settled.has(follower));
      if (!settled.has(job) && left.length > 0) {
        stack.push(...left);
        continue;
      }
      stack.pop();
      if (settled.has(job)) continue;
      settled.add(job);
      const last = followers.get(job)!.every((follower) => waits.has(follower));
      if (job.isGenerated && last && job.heldBytes <= HELD_BYTES_MAX) waits.add(job);
    }
  };
  jobs.forEach(visit);
  return waits;
}

/** The next job by its place in the graph, and those ready that may go with it. */
function next<T extends Job>(ready: ReadonlySet<T>, waits: ReadonlySet<Job>): T[] {
  const ordered = [...ready].sort((a, b) => a.order - b.order);
  const first = ordered.find((job) => !waits.has(job)) ?? ordered[0]!;
  if (!first.isGenerated) return [first];
  const launch = [first];
  let parameters = first.parameters;
  const atEnd = waits.has(first);
  for (const job of ordered) {
    if (job === first || !job.isGenerated || launch.length >= SECTIONS_MAX) continue;
    if (waits.has(job) && !atEnd) continue;
    if (!atEnd && Math.max(job.elements, first.elements) > SHARED_ELEMENTS_MAX) continue;
    if (parameters + job.parameters > PARAMETERS_MAX) continue;
    parameters += job.parameters;
    launch.push(job);
  }
  return launch;
}
