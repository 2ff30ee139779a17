/** @file A run read back from its folder: all that a report is made from. */
import { join } from "node:path";
import { z } from "zod";
import { ParetoError } from "../base/errors.ts";
import { checkJson, readJsonIfExists, type JsonFormat, type JsonValue } from "../base/jsonFile.ts";
import { readEvents } from "./eventLog.ts";
import type { RunEvent } from "./events.ts";
import type { DecisionEvent } from "./policies/decision.ts";
import { openRunFolder, RESULT, runFiles, type RunRecord } from "./runFolder.ts";
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
    result: await readJsonIfExists(resultFormat, join(path, RESULT)),
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

const resultFormat: JsonFormat<JsonValue> = {
  ...runFiles,
  noun: "result of a run",
  schema: z.json() as z.ZodType<JsonValue>,
  fix: "Go on with the run with --resume: it writes its result again.",
};

/**
 * What a run came to, checked by what a report reads of it; null where it came to nothing yet.
 * @throws ParetoError RUN_INVALID, which names the file and the key
 */
export function resultOf<Result>(schema: z.ZodType<Result>, { path, result }: RunFiles): Result | null {
  if (result === null) return null;
  return checkJson({ ...resultFormat, schema }, join(path, RESULT), result);
}
