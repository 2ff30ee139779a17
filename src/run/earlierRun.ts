/** @file An earlier run that is gone on with: whether its data is still the same, and how long it has run. */
import { ParetoError } from "../base/errors.ts";
import { fileExists } from "../base/files.ts";
import type { JsonValue } from "../base/jsonFile.ts";
import { readEvents } from "./eventLog.ts";
import type { RunFolder } from "./runFolder.ts";
import { LOG_FILES } from "./runLog.ts";

/** A configuration as JSON holds it. */
export const plainConfig = (config: unknown): JsonValue => JSON.parse(JSON.stringify(config)) as JsonValue;

/** Records what has changed. @throws ParetoError `RESUME_DATA` */
export async function keepConfig(
  folder: RunFolder,
  { config, fingerprint }: { config: unknown; fingerprint: string },
): Promise<void> {
  if (folder.record.fingerprint !== fingerprint) {
    throw new ParetoError({
      code: "RESUME_DATA",
      where: folder.path,
      message: `the data has changed since the run began, got fingerprint ${fingerprint.slice(0, 12)}`,
      fix: "Put the old files back, or start a new run with --out.",
    });
  }
  await folder.setConfig(plainConfig(config));
}

/** Seconds that a run has taken so far; a process that was killed left it in its events alone. */
export async function secondsOf(folder: RunFolder): Promise<number> {
  let { seconds } = folder.record;
  const events = folder.file(LOG_FILES.events);
  if (!(await fileExists(events))) return seconds;
  for await (const event of readEvents(events))
    if (event.event === "span") seconds = Math.max(seconds, event.end);
  return seconds;
}
