/** @file A run read back from its folder: all that a report is made from. */
import { join } from "node:path";
import { ParetoError } from "../base/errors.ts";
import { readTextIfExists } from "../base/files.ts";
import type { JsonValue } from "../base/jsonFile.ts";
import { readEvents } from "./eventLog.ts";
import type { RunEvent } from "./events.ts";
import type { DecisionEvent } from "./policies/decision.ts";
import { openRunFolder, RESULT, type RunRecord } from "./runFolder.ts";
import { continuous, LOG_FILES } from "./runLog.ts";

/** A run. */
export interface RunFiles {
  /** Its folder. */
  path: string;
  record: RunRecord;
  /** One sequence over all resumes, without decisions. */
  events: RunEvent[];
  decisions: DecisionEvent[];
  /** What it came to; null before its end. */
  result: JsonValue;
}

/**
 * Reads a run.
 * @throws ParetoError RUN_MISSING, RUN_INVALID, RUN_VERSION, FILE_REFUSED
 */
export async function readRun(path: string): Promise<RunFiles> {
  const { record } = await openRunFolder(path);
  const decisions = await eventsOf(join(path, LOG_FILES.decisions));
  return {
    path,
    record,
    events: await eventsOf(join(path, LOG_FILES.events)),
    decisions: decisions.filter((event) => event.event === "decision"),
    result: await resultOf(join(path, RESULT)),
  };
}

async function eventsOf(path: string): Promise<RunEvent[]> {
  try {
    const events: RunEvent[] = [];
    for await (const event of readEvents(path)) events.push(event);
    return continuous(events);
  } catch (error) {
    if (error instanceof ParetoError && error.code === "FILE_MISSING") return [];
    throw error;
  }
}

async function resultOf(path: string): Promise<JsonValue> {
  const text = await readTextIfExists(path);
  if (text === null) return null;
  try {
    return JSON.parse(text) as JsonValue;
  } catch (cause) {
    throw new ParetoError({
      code: "RUN_INVALID",
      where: path,
      message: `the result of a run is not JSON, got ${JSON.stringify(text.slice(0, 40))}`,
      fix: "Go on with the run with --resume: it writes its result again.",
      cause,
    });
  }
}
