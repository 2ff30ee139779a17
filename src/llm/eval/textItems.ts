/** @file Pieces of a long text whose likelihood is measured: a prompt, and the tokens that follow it. */
import { ParetoError } from "../../base/errors.ts";
import { requireNumbers } from "../optionChecks.ts";
import type { TaskItem } from "../tasks/task.ts";

/** The tokens of a text. */
export interface TokenSource {
  readonly length: number;
  slice(start: number, end: number): ArrayLike<number>;
}

/** Sizes of the pieces. */
export interface TextPieces {
  promptTokens: number;
  /** Tokens after the prompt that are scored. */
  scoredTokens: number;
}

/**
 * Pieces of a text that do not overlap, spread evenly over it when fewer are wanted than it has.
 * @param most pieces at most
 * @throws ParetoError LLM_OPTION; LLM_TEXT_LENGTH for a text that is shorter than one piece
 */
export function textItems(
  tokens: TokenSource,
  { promptTokens, scoredTokens }: TextPieces,
  most: number,
): TaskItem[] {
  const rule = { min: 1, isWhole: true };
  requireNumbers(
    "textItems",
    { promptTokens, scoredTokens, most },
    { promptTokens: rule, scoredTokens: rule, most: rule },
  );
  const length = promptTokens + scoredTokens;
  const room = Math.floor(tokens.length / length);
  if (room === 0) {
    throw new ParetoError({
      code: "LLM_TEXT_LENGTH",
      where: "textItems",
      message: `a piece takes ${length} tokens, got a text of ${tokens.length}`,
      fix: "Give a longer text, or a shorter context.",
    });
  }
  const count = Math.min(most, room);
  return Array.from({ length: count }, (_, i) => {
    const start = length * Math.floor((i * room) / count);
    const middle = start + promptTokens;
    return {
      prompt: Int32Array.from(tokens.slice(start, middle)),
      forced: Int32Array.from(tokens.slice(middle, middle + scoredTokens)),
      answer: new Int32Array(0),
    };
  });
}
