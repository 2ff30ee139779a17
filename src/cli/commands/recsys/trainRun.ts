/** @file One training run as the command line does it: progress drawn, events kept for the report. */
import type { PreparedDataset } from "../../../recsys/data/encode/prepareDataset.ts";
import type { DatasetProfile } from "../../../recsys/profile/profile.ts";
import { profileClicks } from "../../../recsys/profile/profileClicks.ts";
import type { TrainClicksResult } from "../../../recsys/training/clickResult.ts";
import { trainClicks, type TrainClicksOptions } from "../../../recsys/training/trainClicks.ts";
import type { RunEvent } from "../../../run/events.ts";
import { interruptible } from "../../interrupt.ts";
import type { Output } from "../../output.ts";

/** A run, and what its report is made from. */
export interface FinishedRun {
  result: TrainClicksResult;
  events: RunEvent[];
  prepared: PreparedDataset;
  profile: DatasetProfile | null;
}

/**
 * Trains; the first Ctrl-C saves and stops, the second ends the process at once.
 * @param options `profile` asks for the access profile that the report draws
 */
export async function trainRun(
  out: Output,
  options: TrainClicksOptions & { profile: boolean },
): Promise<FinishedRun> {
  const events: RunEvent[] = [];
  let prepared: PreparedDataset | null = null;
  const onEvent = (event: RunEvent) => {
    if (event.event !== "progress") events.push(event);
    out.onEvent(event);
  };
  const onPrepared = async (made: PreparedDataset) => {
    prepared = made;
    await options.onPrepared?.(made);
  };
  return interruptible(out, async (signal) => {
    const result = await trainClicks({ ...options, signal, onEvent, onPrepared });
    const { settings } = result.config;
    const hasTables = prepared!.schema.categorical.length > 0;
    const profile =
      options.profile && result.finished && hasTables
        ? await profileClicks(prepared!, { settings, measure: false })
        : null;
    return { result, events, prepared: prepared!, profile };
  });
}
