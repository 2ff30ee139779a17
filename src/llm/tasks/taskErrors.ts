/** @file Errors of the synthetic tasks. */
import { ParetoError } from "../../base/errors.ts";

/** @throws ParetoError `LLM_TASK_LENGTH` when a text is too short for its question */
export function requireTokens(task: string, tokens: number, least: number): void {
  if (Number.isInteger(tokens) && tokens >= least) return;
  throw new ParetoError({
    code: "LLM_TASK_LENGTH",
    where: task,
    message: `texts of ${task} need ${least} tokens or more, got ${tokens}`,
    fix: `Ask for ${least} tokens or more.`,
  });
}
