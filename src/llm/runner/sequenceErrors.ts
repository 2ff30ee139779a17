/** @file What every runner refuses: sequences that it does not have, and tokens or calls that a sequence cannot take. */
import { ParetoError } from "../../base/errors.ts";
import { requireNumbers } from "../optionChecks.ts";
import type { DecoderConfig } from "../models/decoder.ts";
import type { SequenceOptions, SequenceSnapshot, SequenceTokens } from "./runner.ts";

/** How far a sequence is. */
export interface SequenceState {
  readonly options: SequenceOptions;
  /** Its policy numbers entries anew. */
  readonly isRenumbered: boolean;
  /** Position that its next token takes. */
  readonly nextPosition: number;
  /** A prompt was read. */
  readonly hasPrompt: boolean;
  /** A chunk of a prompt or turn was read and more is to come. */
  readonly isPartial: boolean;
}

/** Tokens or a call that a sequence cannot take. */
function badPrompt(message: string, received: string): ParetoError {
  return new ParetoError({
    code: "LLM_PROMPT",
    where: "LlmRunner",
    message: `${message}, got ${received}`,
    fix: "Begin a sequence, prefill its prompt, then decode token by token.",
  });
}

/** A sequence that does not exist, or has not begun. */
function badSequence(message: string, sequence: number): ParetoError {
  return new ParetoError({
    code: "LLM_SEQUENCE",
    where: "LlmRunner",
    message: `${message}, got sequence ${sequence}`,
    fix: "Open the runner with a larger maxSequences, and call begin before prefill.",
  });
}

/** @throws ParetoError LLM_SEQUENCE for a sequence that a runner of so many does not have */
export function requireSequence(sequence: number, maxSequences: number): void {
  if (Number.isInteger(sequence) && sequence >= 0 && sequence < maxSequences) return;
  throw badSequence(`the sequences of this runner are 0 to ${maxSequences - 1}`, sequence);
}

/** @throws ParetoError LLM_OPTION for numbers that a sequence cannot begin with */
export function requireSequenceOptions(options: SequenceOptions): void {
  const rule = { min: 0, isWhole: true };
  const stream = { ...rule, max: 0xffffffff };
  requireNumbers("LlmRunner.begin", options, { maxNewTokens: rule, promptTokens: rule, seed: rule, stream });
}

/** @returns what a sequence holds @throws ParetoError LLM_SEQUENCE for nothing */
export function requireBegun<T>(held: T | null | undefined, sequence: number): T {
  if (held) return held;
  throw badSequence("a sequence has to begin before it reads", sequence);
}

/** @throws ParetoError LLM_SEQUENCE for a sequence that comes twice in a call */
export function requireOnce(texts: readonly { sequence: number }[]): void {
  const sequences = texts.map(({ sequence }) => sequence);
  const twice = sequences.find((sequence, i) => sequences.includes(sequence, i + 1));
  if (twice !== undefined) throw badSequence("a sequence comes once in a call", twice);
}

/** @throws ParetoError LLM_PROMPT for no token, or one that the model lacks */
function requireTokens({ vocabSize }: DecoderConfig, tokens: readonly number[]): void {
  if (tokens.length === 0) throw badPrompt("a sequence reads at least one token", "none");
  for (const token of tokens) {
    if (Number.isInteger(token) && token >= 0 && token < vocabSize) continue;
    throw badPrompt(`tokens of this model are whole numbers below ${vocabSize}`, `${token}`);
  }
}

/**
 * Learned positions end; others go on, beyond what the model was trained for.
 * @param last position that the sequence comes to
 * @throws ParetoError LLM_CONTEXT
 */
function requirePosition({ maxPositions, hasLearnedPositions }: DecoderConfig, last: number): void {
  if (!hasLearnedPositions || last < maxPositions) return;
  throw new ParetoError({
    code: "LLM_CONTEXT",
    where: "LlmRunner",
    message: `the model has learned ${maxPositions} positions, got position ${last}`,
    fix: "Shorten the prompt or generate fewer tokens, or take a policy that numbers positions anew.",
  });
}

/**
 * A prefill that a sequence cannot take. That it will run out of positions is refused now, not in the middle of it.
 * @throws ParetoError LLM_PROMPT, LLM_CONTEXT
 */
export function requirePrefill(config: DecoderConfig, text: SequenceState, { tokens }: SequenceTokens): void {
  requireTokens(config, tokens);
  const { promptTokens = 0, maxNewTokens } = text.options;
  // The last token that is chosen is never read.
  const later = text.isRenumbered ? 0 : Math.max(0, maxNewTokens - 1);
  const end = Math.max(text.nextPosition + tokens.length, text.hasPrompt ? 0 : promptTokens);
  requirePosition(config, end - 1 + later);
}

/** A decode step that a sequence cannot take. @throws ParetoError LLM_PROMPT, LLM_CONTEXT */
export function requireDecode(config: DecoderConfig, text: SequenceState, token: number): void {
  requireTokens(config, [token]);
  if (!text.hasPrompt || text.isPartial)
    throw badPrompt("a sequence reads its prompt first", `token ${token}`);
  requirePosition(config, text.nextPosition);
}

/** @throws ParetoError LLM_PROMPT for a sequence that cannot be copied out */
export function requireWhole({ hasPrompt, isPartial }: SequenceState): void {
  if (hasPrompt && !isPartial) return;
  throw badPrompt(
    "a snapshot is taken once a prompt was read whole",
    isPartial ? "one in chunks" : "no prompt",
  );
}

/** @throws ParetoError LLM_SNAPSHOT for one of another model's shape */
export function requireFit({ layers, kvHeads, headDim }: DecoderConfig, snapshot: SequenceSnapshot): void {
  const fits = snapshot.layers.every(
    ({ lengths, keys, positions }) =>
      lengths.length === kvHeads && keys.length === positions.length * headDim,
  );
  if (fits && snapshot.layers.length === layers) return;
  throw new ParetoError({
    code: "LLM_SNAPSHOT",
    where: "LlmRunner.restore",
    message: `this model has ${layers} layers of ${kvHeads} KV heads of ${headDim} elements, got a snapshot of ${snapshot.layers.length} layers`,
    fix: "Restore a snapshot on a runner of the model that it was taken from.",
  });
}
