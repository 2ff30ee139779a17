/** @file What a schema has against a JSON value, in words: where, what is wanted there, and what was found. */
import type { z } from "zod";
import { jsonPath, type JsonStep } from "./jsonText.ts";

type Issue = z.core.$ZodIssue;

/** Characters of a value that are shown. */
const SHOWN = 60;

/** The place and the complaint: `at config.dim: expected int`; and the value found there, as JSON. */
export function describeIssue(error: z.ZodError, json: unknown): { problem: string; received: string } {
  const issue = innermost(error.issues[0]!);
  const path = issue.path as JsonStep[];
  const place = path.length === 0 ? "at its top level" : `at ${jsonPath(path)}`;
  return { problem: `${place}: ${wanted(issue)}`, received: shown(valueAt(json, path)) };
}

/** Of a choice of schemas, what the one that came furthest has against the value; of a key too many, that key. */
function innermost(issue: Issue): Issue {
  if (issue.code === "unrecognized_keys") return { ...issue, path: [...issue.path, issue.keys[0]!] };
  if (issue.code !== "invalid_union") return issue;
  const branches = issue.errors.flatMap(([first]) => (first ? [innermost(first)] : []));
  const [best] = branches.toSorted((a, b) => b.path.length - a.path.length);
  // Where no one came further than another, none speaks for all.
  if (!best || best.path.length === 0) return issue;
  return { ...best, path: [...issue.path, ...best.path] };
}

function wanted(issue: Issue): string {
  if (issue.code === "unrecognized_keys") return "no such key is known";
  if (issue.code === "invalid_union" && issue.errors.length > 0) {
    const options = issue.errors.flatMap(([first]) => (first ? [sentence(first.message)] : []));
    return [...new Set(options)].join(", or ");
  }
  return sentence(issue.message);
}

/** A message of zod as a clause, without what it says of the value. */
function sentence(message: string): string {
  const own = message.replace(/^Invalid input: /, "").replace(/, received .*$/s, "");
  return (own[0]!.toLowerCase() + own.slice(1)).replace(/^expected record$/, "expected object");
}

function valueAt(json: unknown, path: readonly JsonStep[]): unknown {
  let value = json;
  for (const step of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Record<JsonStep, unknown>)[step];
  }
  return value;
}

function shown(value: unknown): string {
  if (value === undefined) return "nothing";
  const text = JSON.stringify(value);
  return text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
}
