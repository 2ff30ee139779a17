/**
 * @file Compares what was computed with what was recorded: to the bit, or, on another kind of processor, numbers within
 * a tolerance and hashes not at all.
 */
import { expect } from "vitest";

/** How far numbers may differ on another kind of processor, as a share of the recorded one, or plainly near zero. */
export const TOLERANCE = 0.05;
/** Names of what follows from rounding to the last bit: hashes, and choices among values that are nearly equal. */
const BIT_EXACT = new Set(["sha256", "logits", "greedy", "sampled", "some"]);

/** As JSON holds it. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value)) as unknown;
}

/** Expects the recorded value, to the bit. */
export function expectSame(found: unknown, recorded: unknown): void {
  expect(plain(found)).toEqual(recorded);
}

/** Expects what was recorded but for rounding: numbers within {@link TOLERANCE}. */
export function expectAlike(found: unknown, recorded: unknown, where = "it"): void {
  if (typeof recorded === "number") {
    const bound = TOLERANCE * Math.max(1, Math.abs(recorded));
    expect(Math.abs((found as number) - recorded), `${where}, recorded ${recorded}`).toBeLessThanOrEqual(
      bound,
    );
  } else if (typeof recorded === "object" && recorded !== null) {
    expect(Object.keys(found as object), where).toEqual(Object.keys(recorded));
    for (const [name, value] of Object.entries(recorded)) {
      if (!BIT_EXACT.has(name))
        expectAlike((found as Record<string, unknown>)[name], value, `${where}.${name}`);
    }
  } else {
    expect(found, where).toBe(recorded);
  }
}
