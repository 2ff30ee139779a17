/** @file Where the parts of a synthetic text lie: in order, at random places, with filler words between them. */
import type { Rng } from "../../base/rng.ts";
import { FILLER_TOKENS, type TokenRange } from "./words.ts";

/** One token of a range. */
export function anyOf(rng: Rng, { first, count }: TokenRange): number {
  return first + rng.integer(count);
}

/** So many different tokens of a range, in random order. */
export function someOf(rng: Rng, { first, count }: TokenRange, wanted: number): number[] {
  const all = Array.from({ length: count }, (_, i) => first + i);
  for (let i = 0; i < wanted; i++) {
    const j = i + rng.integer(count - i);
    [all[i], all[j]] = [all[j]!, all[i]!];
  }
  return all.slice(0, wanted);
}

/** The same things in random order. */
export function shuffled<T>(rng: Rng, things: readonly T[]): T[] {
  return rng.shuffle(things.map((_, i) => i)).map((i) => things[i]!);
}

/** Writes filler words over a part of a text. */
export function fill(rng: Rng, text: Int32Array, from: number, to: number): void {
  for (let i = from; i < to; i++) text[i] = anyOf(rng, FILLER_TOKENS);
}

/** Tokens that parts take with the filler word that follows each, so that no two of them touch. */
export function roomOf(parts: readonly (readonly number[])[]): number {
  return parts.reduce((n, part) => n + part.length + 1, 0);
}

/**
 * Spreads parts over `text[0 … length)` in their order, the room between them drawn evenly.
 * @param length at least {@link roomOf}
 * @returns where each part begins
 */
export function spread(
  rng: Rng,
  text: Int32Array,
  length: number,
  parts: readonly (readonly number[])[],
): number[] {
  const free = length - roomOf(parts);
  const cuts = Int32Array.from(parts, () => rng.integer(free + 1)).sort();
  fill(rng, text, 0, length);
  let taken = 0;
  return parts.map((part, i) => {
    const start = cuts[i]! + taken;
    text.set(part, start);
    taken += part.length + 1;
    return start;
  });
}
