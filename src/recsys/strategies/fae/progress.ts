/** @file Progress events of FAE's passes over the data: at most ten a second, with the mean rate so far. */
import type { OnEvent } from "../../../run/events.ts";

const INTERVAL_MS = 100;

/**
 * A function to call with the number of inputs done; it emits progress events of `task`.
 * @param total inputs in all
 */
export function inputProgress(task: string, total: number, onEvent?: OnEvent): (done: number) => void {
  const start = performance.now();
  let last = start;
  return (done) => {
    const now = performance.now();
    if (onEvent === undefined || (now - last < INTERVAL_MS && done < total)) return;
    last = now;
    const rate = now > start ? (1000 * done) / (now - start) : null;
    onEvent({ event: "progress", task, done, total, unit: "inputs", rate });
  };
}
