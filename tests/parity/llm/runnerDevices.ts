/** @file The devices that models are tested on, and how a missing one shows. */
import { describe, test } from "vitest";
import { tryOpenDevice } from "../../support/engine/devices.ts";

/** What a runner is opened on. */
export type RunnerDevice = "cpu" | "cuda";

/** Declares the tests of each device; of one that this machine lacks, a skipped test that says why. */
export function onEachDevice(declare: (device: RunnerDevice) => void): void {
  describe.each<RunnerDevice>(["cpu", "cuda"])("%s", async (device) => {
    if (device === "cuda") {
      const found = await tryOpenDevice(device);
      if ("missing" in found) {
        test.skip(`skipped: ${found.missing}`);
        return;
      }
      await found.dispose();
    }
    declare(device);
  });
}
