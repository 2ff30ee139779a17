/**
 * @file What a synthetic task is: texts of an exact length, each with a question whose answer is known. A model is asked
 * under some cache policy, and right answers are counted.
 *
 * An item depends on its index and seed alone, on every machine. Its text is `prompt`, then `forced`, then `answer`;
 * where a task asks after the prompt was evicted, the question lies in `forced`.
 */

/** One text with its question. */
export interface TaskItem {
  prompt: Int32Array;
  /** Decoded one by one after the prompt was evicted, whatever the model would have said. */
  forced: Int32Array;
  /** What the model should say next. */
  answer: Int32Array;
  /** Where the answer's evidence lies in the prompt, 0 (its start) to 1 (its end). */
  depth?: number;
}

/**
 * When a question comes: after the prompt was evicted, or as the last tokens of the prompt, so that a policy has seen it
 * when it chooses, and then once more. The second time is when it is answered: what a model would say right after the
 * prompt, it would say before anything was evicted.
 */
export type Protocol = "in-prompt" | "after";

/** Tokens of a text that its question takes. */
export function questionTokens(question: number, protocol: Protocol): number {
  return protocol === "in-prompt" ? 2 * question : question;
}

/** A text in parts: the question goes where the protocol has it. */
export function itemOf(
  context: Int32Array,
  question: Int32Array,
  rest: Pick<TaskItem, "answer" | "depth">,
  protocol: Protocol,
): TaskItem {
  if (protocol === "after") return { prompt: context, forced: question, ...rest };
  return { prompt: Int32Array.of(...context, ...question), forced: question, ...rest };
}

/** A kind of question. */
export interface Task {
  readonly name: string;
  /** Token ids are below this. */
  readonly vocabulary: number;
  /**
   * An item for evaluation.
   * @param options tokens of prompt, forced and answer together; the seed of the whole set
   * @throws ParetoError `LLM_TASK_LENGTH` for a length that does not hold the question
   */
  item(index: number, options: { tokens: number; seed: number }): TaskItem;
}
