/**
 * @file Ctrl-C and SIGTERM: obeyed within a second, with nothing half-written left behind.
 *
 * Where nothing is to be saved or removed there is no listener, and the system ends the process whatever it computes.
 * Otherwise the first signal stops the work in order: training saves itself, other work is interrupted and removes what it
 * has half written; where that takes longer than {@link PATIENCE_MS}, the process removes it and ends. A second signal does
 * so at once.
 */
import { ParetoError } from "../base/errors.ts";
import { holdsTemporary, removeTemporary, watchTemporary } from "../base/temporaryPaths.ts";
import type { OnEvent } from "../run/events.ts";
import type { Output } from "./output.ts";

/** The exit status of a process that an interrupt ended. */
const INTERRUPTED = 130;

/** How long work that is not saved may take to end in order. */
const PATIENCE_MS = 300;

/** Work that a signal may stop. */
interface Work {
  stop: AbortController;
  /** Whether it saves itself, or ends as soon as it can. */
  ends: () => "saved" | "soon";
  onFirst: () => void;
}

const SIGNALS = ["SIGINT", "SIGTERM"] as const;

let current: Work | null = null;
let endsAtOnce = false;
let isListening = false;

function leave(): never {
  removeTemporary();
  process.exit(INTERRUPTED);
}

function onSignal(signal: NodeJS.Signals): void {
  if (current === null || endsAtOnce || current.stop.signal.aborted) leave();
  const { stop, ends, onFirst } = current;
  onFirst();
  stop.abort(
    new ParetoError({
      code: "INTERRUPTED",
      where: "pareto",
      message: `the work was stopped before its end and nothing of it is kept, got ${signal}`,
      fix: "Run the command again.",
    }),
  );
  if (ends() === "soon") setTimeout(leave, PATIENCE_MS).unref();
}

/** Listens while there is something to save or to remove. */
function listen(): void {
  const isNeeded = holdsTemporary() || (current !== null && !endsAtOnce && current.ends() === "saved");
  if (isNeeded === isListening) return;
  isListening = isNeeded;
  for (const name of SIGNALS) {
    if (isNeeded) process.on(name, onSignal);
    else process.off(name, onSignal);
  }
}

watchTemporary(listen);

/** Until disposed of, the first signal ends the process at once: nothing that runs is worth saving. */
export function endAtOnce(): Disposable {
  endsAtOnce = true;
  listen();
  return {
    [Symbol.dispose]: () => {
      endsAtOnce = false;
      listen();
    },
  };
}

async function untilStopped<T>(work: Work, run: () => Promise<T>): Promise<T> {
  const outer = current;
  current = work;
  listen();
  try {
    return await run();
  } finally {
    current = outer;
    listen();
  }
}

/**
 * Does the work of a run: while it prepares its data it ends at a signal, afterwards it is saved.
 * @param work is given the events' receiver too, which tells when the data is ready
 */
export function interruptible<T>(
  out: Output,
  work: (signal: AbortSignal, onEvent: OnEvent) => Promise<T>,
): Promise<T> {
  const stop = new AbortController();
  let isTraining = false;
  const onEvent: OnEvent = (event) => {
    if (!isTraining && event.event === "span" && event.span === "prepare") {
      isTraining = true;
      listen();
    }
    out.onEvent(event);
  };
  const onFirst = () => {
    if (isTraining) out.info("stopping after this step; the run is being saved (Ctrl-C again ends at once)");
  };
  const ends = () => (isTraining ? "saved" : "soon");
  return untilStopped({ stop, ends, onFirst }, () => work(stop.signal, onEvent));
}

/** Does work that ends early at a signal, silently; the process then exits as one that was interrupted. */
export function endingEarly<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  const onFirst = () => (process.exitCode = INTERRUPTED);
  return untilStopped({ stop, ends: () => "saved", onFirst }, () => work(stop.signal));
}

/** Does work of which nothing is kept when a signal ends it. @throws ParetoError INTERRUPTED at a signal */
export function keepingNothing<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  return untilStopped({ stop, ends: () => "soon", onFirst: () => {} }, () => work(stop.signal));
}

/** The exit status of a failure that a signal was, else null. */
export function interruptStatus(error: unknown): number | null {
  return error instanceof ParetoError && error.code === "INTERRUPTED" ? INTERRUPTED : null;
}
