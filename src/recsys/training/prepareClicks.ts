/** @file A run's sources, opened and encoded in the cache, or found encoded there. */
import { join, resolve } from "node:path";
import { prepareDataset, type PreparedDataset } from "../data/encode/prepareDataset.ts";
import { openSource } from "../data/source/source.ts";
import type { OnEvent } from "../../run/events.ts";
import { digest } from "../data/digest.ts";
import type { ClickConfig } from "./clickConfig.ts";

/**
 * Opens a run's sources and encodes them, or finds them encoded.
 * @param signal ends the work; nothing is then left behind
 */
export async function prepareClicks(
  config: Pick<ClickConfig, "source" | "prepare">,
  cacheDirectory: string,
  onEvent: OnEvent = () => {},
  signal?: AbortSignal,
): Promise<PreparedDataset> {
  const { source: sourceOptions, prepare } = config;
  const paths = sourceOptions.paths.map((path) => (/^\w+:\/\//.test(path) ? path : resolve(path)));
  const directory = join(cacheDirectory, digest([paths, sourceOptions, prepare]));
  await using source = await openSource({ ...sourceOptions, ...(signal && { signal }) });
  const prepared = await prepareDataset(source, prepare, directory, (done, total, unit, task) =>
    onEvent({ event: "progress", task, done, total, unit, rate: null }),
  );
  for (const message of prepared.notices) {
    onEvent({ event: "notice", level: "warning", code: "DATA_NOTICE", message });
  }
  return prepared;
}
