/**
 * @file The host's side of the kernels' `assembly/cacheView.ts`: fields of 32 bits in the same order. What each means
 * is documented there.
 */
import type { NoiseKind } from "../kv/policy.ts";

const FIELDS = [
  "heads",
  "kvHeads",
  "headDim",
  "capacity",
  "lengths",
  "keys",
  "values",
  "positions",
  "places",
  "scores",
  "turned",
  "tokens",
  "q",
  "k",
  "v",
  "attended",
  "first",
  "isOrdered",
  "scale",
  "window",
  "slopes",
  "rotaryDim",
  "isInterleaved",
  "angles",
  "anglesFrom",
  "firstScored",
  "noise",
  "isNoisePerKey",
  "takesHighest",
  "damping",
  "share",
  "temperature",
  "seedLow",
  "seedHigh",
  "stream",
  "layer",
] as const;

/** Those that are floats. */
const FLOATS: ReadonlySet<string> = new Set(["scale", "damping", "share", "temperature"]);

/** A view's fields: counts, and pointers in bytes. */
export type CacheView = Record<(typeof FIELDS)[number], number>;

/** 32-bit words of a view. */
export const VIEW_WORDS = FIELDS.length;

/** The kernels' numbers of noises. */
export const noiseNumber: Readonly<Record<NoiseKind, number>> = {
  none: 0,
  gumbel: 1,
  gaussian: 2,
  constant: 3,
};

/** Writes a view where kernels read it. */
export function writeView(words: Int32Array, view: CacheView): void {
  const floats = new Float32Array(words.buffer, words.byteOffset, words.length);
  for (const [at, name] of FIELDS.entries()) {
    if (FLOATS.has(name)) floats[at] = view[name];
    else words[at] = view[name];
  }
}
