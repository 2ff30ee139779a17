/**
 * @file Prompts as users give them: one as it stands, from a file or from standard input, or many as JSON lines
 * `{"prompt": …, "id": …, "max_new_tokens": …, "seed": …}`, of which all but the first may be left out.
 */
import { z } from "zod";
import { ParetoError } from "../../../base/errors.ts";
import { JsonTextError, parseJsonText } from "../../../base/jsonText.ts";
import { readTextFile } from "../../../llm/text/textFile.ts";

const line = z.strictObject({
  // JSON can spell halves of surrogate pairs, which no text has.
  prompt: z.string().refine((text) => text.isWellFormed(), "half of a surrogate pair is no character"),
  id: z.union([z.string(), z.number()]).optional(),
  max_new_tokens: z.int().min(1).optional(),
  seed: z.int().min(0).optional(),
});

/** A text to continue. */
export interface Prompt {
  prompt: string;
  /** The number of its line in a batch where it has none of its own. */
  id: string | number;
  maxNewTokens?: number;
  seed?: number;
  /** Option, or file and line, for messages. */
  where: string;
}

/**
 * Reads the prompt of `--prompt`: `-` is standard input, `@FILE` a file. One line break at the end of either is not
 * part of it.
 * @throws ParetoError FILE_MISSING, FILE_REFUSED, LLM_TEXT_ENCODING
 */
export async function readPrompt(prompt: string): Promise<Prompt> {
  const rest = { id: 1, where: "--prompt" };
  if (prompt !== "-" && !prompt.startsWith("@")) return { prompt, ...rest };
  const text = await readTextFile(prompt === "-" ? "-" : prompt.slice(1)).catch((error: unknown) => {
    throw error instanceof ParetoError && error.code === "FILE_MISSING" ? missingPrompt(prompt) : error;
  });
  return { prompt: text.replace(/\r?\n$/, ""), ...rest };
}

/** A prompt that begins with @, where there is no such file. */
function missingPrompt(prompt: string): ParetoError {
  return new ParetoError({
    code: "FILE_MISSING",
    where: "--prompt",
    message: `@ stands before the path of a file, and there is no such file, got "${prompt}"`,
    fix: "Check the path. A text that begins with @ can be given on standard input, with --prompt -.",
  });
}

/**
 * Reads the prompts of `--batch`: a file, or `-` for standard input.
 * @throws ParetoError LLM_BATCH_LINE, FILE_MISSING, FILE_REFUSED, LLM_TEXT_ENCODING
 */
export async function readBatch(path: string): Promise<Prompt[]> {
  return parsePrompts(await readTextFile(path), path === "-" ? "stdin" : path);
}

/**
 * Reads prompts; empty lines are skipped.
 * @param name of the file, for messages
 * @throws ParetoError LLM_BATCH_LINE for a line that is no prompt, or a file without one
 */
function parsePrompts(text: string, name: string): Prompt[] {
  const prompts = text.split(/\r?\n/).flatMap((row, i): Prompt[] => {
    if (row.trim() === "") return [];
    const where = `${name}:${i + 1}`;
    const result = line.safeParse(jsonOf(row, where));
    if (!result.success) {
      const issue = result.error.issues[0]!;
      const at = issue.path.length === 0 ? "" : `${issue.path.join(".")}: `;
      throw badLine(where, `${at}${issue.message}`, row);
    }
    const { prompt, id = i + 1, max_new_tokens: maxNewTokens, seed } = result.data;
    return [
      {
        prompt,
        id,
        where,
        ...(maxNewTokens !== undefined && { maxNewTokens }),
        ...(seed !== undefined && { seed }),
      },
    ];
  });
  if (prompts.length === 0)
    throw badLine(name, "a batch needs a prompt", text === "" ? "an empty file" : "empty lines");
  return prompts;
}

function jsonOf(row: string, where: string): unknown {
  try {
    return parseJsonText(row);
  } catch (error) {
    const problem = error instanceof JsonTextError ? error.problem : String(error);
    // It counts lines of its own, of which there is one.
    throw badLine(where, `the line ${problem.replace(/ \(line 1 column \d+\)/, "")}`, row);
  }
}

function badLine(where: string, message: string, row: string): ParetoError {
  const shown = row.length > 80 ? `${row.slice(0, 80)}…` : row;
  return new ParetoError({
    code: "LLM_BATCH_LINE",
    where,
    message: `${message}, got ${shown}`,
    fix: 'Write a JSON text a line, e.g. {"prompt": "Once upon a time", "id": 1, "max_new_tokens": 64, "seed": 1}; all but the prompt may be left out.',
  });
}
