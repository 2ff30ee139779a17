/** @file Ctrl-C and SIGTERM: the first ends the work in order, the second ends the process at once. */
import type { Output } from "./output.ts";

/** The exit status of a process that an interrupt ended. */
const INTERRUPTED = 130;

let endsAtOnce = false;

/** Until disposed of, the first signal ends the process at once: nothing that runs is worth saving. */
export function endAtOnce(): Disposable {
  endsAtOnce = true;
  return {
    [Symbol.dispose]: () => {
      endsAtOnce = false;
    },
  };
}

/** Does work that a signal may stop. @param onFirst called at the first signal, before the work's own is aborted */
async function untilStopped<T>(onFirst: () => void, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  // Without a listener the system ends the process, whatever it computes.
  if (endsAtOnce) return work(stop.signal);
  const onSignal = () => {
    if (stop.signal.aborted) process.exit(INTERRUPTED);
    onFirst();
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

/** Does the work of a run, which saves itself and stops at the first signal. */
export function interruptible<T>(out: Output, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const message = "stopping after this step; the run is being saved (Ctrl-C again ends at once)";
  return untilStopped(() => out.info(message), work);
}

/** Does work that ends early at a signal, silently; the process then exits as one that was interrupted. */
export function endingEarly<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  return untilStopped(() => (process.exitCode = INTERRUPTED), work);
}
