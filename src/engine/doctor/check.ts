/** @file One finding of the doctor, and how checks are run: a check that fails is a finding, not a crash. */
import { ParetoError } from "../../base/errors.ts";

/** One finding. */
export interface Check {
  /** What was checked, e.g. `matrix product`. */
  name: string;
  ok: boolean;
  /** What was found or measured; null when there is nothing to show. */
  value: number | string | null;
  /** Unit of a measured value, e.g. `GFLOP/s`; empty for texts. */
  unit: string;
  /** One sentence on how it was found, or why it failed. */
  detail: string;
}

/** What a check answers when it could be made. */
export type Finding = Omit<Check, "name">;

/** Makes one check. */
export async function check(name: string, make: () => Finding | Promise<Finding>): Promise<Check> {
  try {
    return { name, ...(await make()) };
  } catch (error) {
    const detail =
      error instanceof ParetoError
        ? `${error.message}. ${error.fix}`
        : `it failed: ${(error as Error).message}`;
    return { name, ok: false, value: null, unit: "", detail };
  }
}

/** The shortest time of a task, in seconds. It runs at least twice, and on until `budgetMs` has passed. */
export async function bestSeconds(budgetMs: number, task: () => Promise<unknown>): Promise<number> {
  await task();
  let best = Number.POSITIVE_INFINITY;
  const end = performance.now() + budgetMs;
  do {
    const start = performance.now();
    await task();
    best = Math.min(best, performance.now() - start);
  } while (performance.now() < end);
  return best / 1000;
}
