/** @file The synthetic tasks as data: endless training texts, and items of each task for validation. */
import { writeTrainingText } from "../tasks/trainingTexts.ts";
import { taskNamed } from "../tasks/tasks.ts";
import { END_OF_TEXT, WORDS } from "../tasks/words.ts";
import { wordTokenizer } from "../tasks/wordTokenizer.ts";
import type { LmData, ValidationGroup } from "./lmData.ts";
import type { Recipe } from "./recipe.ts";

/** Items of validation are of this seed; evaluations had better use others. */
const VALIDATION_SEED = 0xf0000000;

/** The data of a recipe. @throws ParetoError `LLM_TASK_LENGTH` where texts of validation hold no question of a task */
export function taskData({ seed, validation }: Pick<Recipe, "seed" | "validation">): LmData {
  return {
    vocabulary: WORDS.length,
    tokenizer: wordTokenizer(),
    eosTokenId: END_OF_TEXT,
    fingerprint: 0,
    fill: ({ tokens, targets }, first, length) => {
      for (let at = 0, index = first; at < tokens.length; at += length, index++) {
        const row = { tokens: tokens.subarray(at, at + length), targets: targets.subarray(at, at + length) };
        writeTrainingText(seed, index, row);
      }
    },
    validation: validation.tasks.map((name) => groupOf(name, validation)),
  };
}

function groupOf(
  name: Recipe["validation"]["tasks"][number],
  { length, texts }: Recipe["validation"],
): ValidationGroup {
  const task = taskNamed(name, "after");
  // Drawn now, so that a length that is too short is an error before anything is trained.
  task.item(0, { tokens: length, seed: VALIDATION_SEED });
  return {
    name,
    length,
    texts,
    fill: (index, tokens, targets) => {
      const { prompt, forced, answer } = task.item(index, { tokens: length, seed: VALIDATION_SEED });
      tokens.set(prompt);
      tokens.set(forced, prompt.length);
      tokens.set(answer, prompt.length + forced.length);
      targets.fill(-1);
      targets.set(answer, length - answer.length - 1);
    },
  };
}
