/** @file Random numbers of synthetic texts. Those of evaluation and of training come from different keys, so that no text of one occurs in the other. */
import { Rng } from "../../base/rng.ts";

/** What texts are for; each use has keys of its own. */
const uses = { evaluation: 1, training: 2 } as const;

/** The numbers of one text. @param seed a 32-bit unsigned integer */
export function itemRng(use: keyof typeof uses, seed: number, index: number): Rng {
  return new Rng(uses[use] * 2 ** 32 + (seed >>> 0), index);
}
