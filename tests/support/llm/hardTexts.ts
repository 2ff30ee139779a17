/** @file Texts that are hard for tokenizers; `golden/llm/makeTokenizerParts.py` makes the same ones. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

const TEXTS = 2048;
const fragments = JSON.parse(
  readFileSync(join(import.meta.dirname, "../../../golden/llm/tokenizers/fragments.json"), "utf8"),
) as string[];

/** A linear congruential generator; the high bits count. */
class Numbers {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** A whole number from 0 to below n. */
  below(n: number): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#state * n) / 2 ** 32);
  }
}

function nextPiece(numbers: Numbers): string {
  const kind = numbers.below(8);
  if (kind === 0) {
    const point = numbers.below(0x110000);
    return point >= 0xd800 && point <= 0xdfff ? "" : String.fromCodePoint(point);
  }
  // The planes where most text lies.
  if (kind === 1) return String.fromCodePoint(1 + numbers.below(0x3fff));
  return fragments[numbers.below(fragments.length)]!;
}

/** The texts: fragments of many scripts, odd spaces and marks, and single code points, in random order. */
export function hardTexts(): string[] {
  const numbers = new Numbers(20_261_201);
  return Array.from({ length: TEXTS }, () => {
    let text = "";
    for (let left = numbers.below(9); left > 0; left--) text += nextPiece(numbers);
    return text;
  });
}

/** Lists of tokens below a number. */
export function tokenLists(size: number): number[][] {
  const numbers = new Numbers(7);
  return Array.from({ length: TEXTS }, () =>
    Array.from({ length: 1 + numbers.below(8) }, () => numbers.below(size)),
  );
}
