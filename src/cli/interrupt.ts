/** @file Ctrl-C as a wish to stop: the first saves and stops, the second ends the process at once. */
import type { Output } from "./output.ts";

/** Does work that a signal may stop. */
export async function interruptible<T>(out: Output, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  const onSignal = () => {
    if (stop.signal.aborted) process.exit(130);
    out.info("stopping after this step; the run is being saved (Ctrl-C again ends at once)");
    stop.abort();
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  try {
    return await work(stop.signal);
  } finally {
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
  }
}
