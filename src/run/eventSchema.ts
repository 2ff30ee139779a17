/** @file What a line of an event log holds, by its kind, as it is checked when a log is read. */
import { z } from "zod";
import type { RunEvent } from "./events.ts";

/** JSON has null for a figure that is not finite. */
const figure = z.number().nullable();
const figures = z.record(z.string(), figure);

const kinds: Readonly<Record<RunEvent["event"], z.ZodType>> = {
  progress: z.looseObject({ task: z.string() }),
  metrics: z.looseObject({
    part: z.enum(["train", "validation", "test"]),
    epoch: z.number(),
    step: z.number(),
    seconds: z.number(),
    logLoss: figure,
    auc: figure.optional(),
    accuracy: figure.optional(),
    macroF1: figure.optional(),
    learningRate: figure.optional(),
    groups: z.record(z.string(), figures).optional(),
  }),
  span: z.looseObject({
    span: z.string(),
    start: z.number(),
    end: z.number(),
    step: z.number().optional(),
    detail: figures.optional(),
  }),
  resumed: z.looseObject({ step: z.number(), seconds: z.number() }),
  notice: z.looseObject({ level: z.enum(["info", "warning"]), code: z.string(), message: z.string() }),
  decision: z.looseObject({
    policy: z.string(),
    kind: z.string(),
    step: z.number(),
    subject: z.string(),
    saw: z.record(z.string(), z.json()),
    chose: z.record(z.string(), z.json()),
  }),
};

const anyEvent = z.looseObject({ event: z.string() });

/** A line of a log; null for an event of a kind that a newer Pareto knows. */
export const eventLine: z.ZodType<RunEvent | null> = z.unknown().transform((json, context) => {
  const named = anyEvent.safeParse(json);
  const kind = named.success && Object.hasOwn(kinds, named.data.event) ? named.data.event : null;
  if (named.success && kind === null) return null;
  const parsed = kind === null ? named : kinds[kind as RunEvent["event"]].safeParse(json);
  if (parsed.success) return parsed.data as RunEvent;
  for (const issue of parsed.error!.issues) context.issues.push({ ...issue, input: json } as never);
  return z.NEVER;
});
