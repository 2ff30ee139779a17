/**
 * @file Steps that are asked for before the one before has come back, so that the device never waits for the host.
 * They are looked at in their order.
 */
import type { RunContext } from "./context.ts";
import type { EpochUnderWay, PlannedStep, StepReport } from "./task.ts";

/** Steps under way at once. */
const IN_FLIGHT = 2;

/** How a batch becomes a step. */
export interface StepsInFlight<Batch, Done> {
  epoch: EpochUnderWay;
  /** What is left of the epoch. */
  batches: Iterable<Batch>;
  /** Asks the device for a step. */
  ask: (batch: Batch, planned: PlannedStep) => Promise<Done>;
  /** Takes what came back, in order. */
  land: (batch: Batch, done: Done) => Omit<StepReport, "step">;
}

/**
 * Trains batches until they end or no further step is to be begun; the steps under way are finished.
 * @returns steps done
 */
export async function trainInFlight<Batch, Done>(
  context: RunContext,
  { epoch, batches, ask, land }: StepsInFlight<Batch, Done>,
): Promise<number> {
  const start = context.clock();
  const flights: { batch: Batch; step: number; done: Promise<Done> }[] = [];
  let asked = 0;
  const landOne = async (): Promise<void> => {
    const { batch, step, done } = flights.shift()!;
    epoch.onStep({ step, ...land(batch, await done) });
  };
  for (const batch of batches) {
    if (epoch.shouldStop()) break;
    const planned = epoch.plan(epoch.step + ++asked);
    const done = ask(batch, planned);
    // It is awaited later; a failure before then must not count as unhandled.
    done.catch(() => undefined);
    flights.push({ batch, step: planned.step, done });
    if (flights.length >= IN_FLIGHT) await landOne();
  }
  while (flights.length > 0) await landOne();
  context.spanEnded("train", start, { batches: asked });
  return asked;
}
