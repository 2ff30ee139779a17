/** @file Pieces of a long text whose likelihood is measured: a prompt, and the tokens that follow it. */
import { ParetoError } from "../../base/errors.ts";
import type { TaskItem } from "../tasks/task.ts";

/** Sizes of the pieces. */
export interface TextPieces {
  promptTokens: number;
  /** Tokens after the prompt that are scored. */
  scoredTokens: number;
}

/**
 * Pieces of a text that do not overlap, spread evenly over it when fewer are wanted than it has.
 * @param most pieces at most
 * @throws ParetoError LLM_TEXT_LENGTH for a text that is shorter than one piece
 */
export function textItems(
  tokens: ArrayLike<number>,
  { promptTokens, scoredTokens }: TextPieces,
  most: number,
): TaskItem[] {
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
  const all = Int32Array.from(tokens);
  const count = Math.min(most, room);
  return Array.from({ length: count }, (_, i) => {
    const start = length * Math.floor((i * room) / count);
    const middle = start + promptTokens;
    return {
      prompt: all.slice(start, middle),
      forced: all.slice(middle, middle + scoredTokens),
      answer: new Int32Array(0),
    };
  });
}
