/** @file One training run as the command line does it: progress drawn, the data profiled for the report. */
import type { PreparedDataset } from "../../../recsys/data/encode/prepareDataset.ts";
import { accessProfile, writeAccessProfile } from "../../../recsys/profile/accessProfile.ts";
import { profileClicks } from "../../../recsys/profile/profileClicks.ts";
import type { TrainClicksResult } from "../../../recsys/training/clickResult.ts";
import { trainClicks, type TrainClicksOptions } from "../../../recsys/training/trainClicks.ts";
import { interruptible } from "../../interrupt.ts";
import type { Output } from "../../output.ts";

/**
 * Trains; the first Ctrl-C saves and stops, the second ends the process at once.
 * @param options `profile` keeps in the run's folder how its data is accessed, which the report draws
 */
export async function trainRun(
  out: Output,
  options: TrainClicksOptions & { profile: boolean },
): Promise<TrainClicksResult> {
  let prepared: PreparedDataset | null = null;
  const onPrepared = async (made: PreparedDataset) => {
    prepared = made;
    await options.onPrepared?.(made);
  };
  return interruptible(out, async (signal, onEvent) => {
    const result = await trainClicks({ ...options, signal, onEvent, onPrepared });
    const { settings, prepared: known } = result.config;
    const hasTables = prepared!.schema.categorical.length > 0;
    if (options.profile && result.finished && hasTables) {
      const profile = await profileClicks(prepared!, { settings, prepared: known, measure: false });
      await writeAccessProfile(result.run, accessProfile(profile, prepared!));
    }
    return result;
  });
}
