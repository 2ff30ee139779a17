/** @file Cutting a text where a pattern matches, and what becomes of the matches: `SplitDelimiterBehavior` of tokenizers. */
import { slice, type Piece } from "./text.ts";

/** What becomes of matches. */
export const BEHAVIORS = [
  "Removed",
  "Isolated",
  "MergedWithPrevious",
  "MergedWithNext",
  "Contiguous",
] as const;
export type Behavior = (typeof BEHAVIORS)[number];

/** A stretch of a text, between UTF-16 units. */
export interface Stretch {
  readonly start: number;
  readonly end: number;
  readonly isMatch: boolean;
}

/** All of a text in stretches, from where matches lie. */
export function stretches(text: string, matches: Iterable<readonly [start: number, end: number]>): Stretch[] {
  if (text === "") return [];
  const all: Stretch[] = [];
  let done = 0;
  for (const [start, end] of matches) {
    if (done !== start) all.push({ start: done, end: start, isMatch: false });
    all.push({ start, end, isMatch: true });
    done = end;
  }
  if (done !== text.length) all.push({ start: done, end: text.length, isMatch: false });
  return all;
}

/** Where a global regular expression matches, none of them empty. */
export function* matchesOf(text: string, pattern: RegExp): Generator<[start: number, end: number]> {
  for (const { index, 0: match } of text.matchAll(pattern)) yield [index, index + match.length];
}

function joined(all: readonly Stretch[], joins: (one: Stretch, before: boolean) => boolean): Stretch[] {
  const out: Stretch[] = [];
  let before = false;
  for (const one of all) {
    const last = out.at(-1);
    if (last !== undefined && joins(one, before)) {
      out[out.length - 1] = {
        start: Math.min(last.start, one.start),
        end: Math.max(last.end, one.end),
        isMatch: false,
      };
    } else out.push(one);
    before = one.isMatch;
  }
  return out;
}

const isSecondMatch = (one: Stretch, before: boolean) => one.isMatch && !before;

function behaved(all: readonly Stretch[], behavior: Behavior): readonly Stretch[] {
  switch (behavior) {
    case "Removed":
      return all.filter(({ isMatch }) => !isMatch);
    case "Isolated":
      return all;
    case "Contiguous":
      return joined(all, (one, before) => one.isMatch === before);
    case "MergedWithPrevious":
      return joined(all, isSecondMatch);
    case "MergedWithNext":
      return joined(all.toReversed(), isSecondMatch).reverse();
  }
}

/** The pieces of a piece, none of them empty. */
export function splitPiece(piece: Piece, all: readonly Stretch[], behavior: Behavior): Piece[] {
  return behaved(all, behavior)
    .filter(({ start, end }) => start < end)
    .map(({ start, end }) => slice(piece, start, end));
}
