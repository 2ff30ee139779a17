/** @file What every runner refuses of a text. */
import { ParetoError } from "../../base/errors.ts";
import type { DecoderConfig } from "../models/decoder.ts";
import type { TextOptions, TextSnapshot, TextTokens } from "./runner.ts";

/** How far a text is. */
export interface TextState {
  readonly options: TextOptions;
  /** Its policy numbers entries anew. */
  readonly isRenumbered: boolean;
  /** Position that its next token takes. */
  readonly nextPosition: number;
  /** A prompt was read. */
  readonly hasRead: boolean;
  /** A piece of a prompt or turn was read and more is to come. */
  readonly isPartial: boolean;
}

/** Tokens or a call that a text cannot take. */
function badPrompt(message: string, received: string): ParetoError {
  return new ParetoError({
    code: "LLM_PROMPT",
    where: "LlmRunner",
    message: `${message}, got ${received}`,
    fix: "Begin a text in a seat, read its prompt, then step token by token.",
  });
}

/** A seat that is not there, or has no text. */
function badSeat(message: string, seat: number): ParetoError {
  return new ParetoError({
    code: "LLM_SEAT",
    where: "LlmRunner",
    message: `${message}, got seat ${seat}`,
    fix: "Open the runner with enough seats, and begin a text in a seat before it reads.",
  });
}

/** @throws ParetoError LLM_SEAT for a seat that a runner of so many does not have */
export function requireSeat(seat: number, seats: number): void {
  if (Number.isInteger(seat) && seat >= 0 && seat < seats) return;
  throw badSeat(`this runner has seats 0 to ${seats - 1}`, seat);
}

/** @returns what a seat holds @throws ParetoError LLM_SEAT for nothing */
export function requireBegun<T>(held: T | null | undefined, seat: number): T {
  if (held) return held;
  throw badSeat("a seat begins a text before it reads", seat);
}

/** @throws ParetoError LLM_SEAT for a seat that comes twice in a call */
export function requireOnce(texts: readonly { seat: number }[]): void {
  const seats = texts.map(({ seat }) => seat);
  const twice = seats.find((seat, i) => seats.includes(seat, i + 1));
  if (twice !== undefined) throw badSeat("a seat comes once in a call", twice);
}

/** @throws ParetoError LLM_PROMPT for no token, or one that the model lacks */
function requireTokens({ vocabulary }: DecoderConfig, tokens: readonly number[]): void {
  if (tokens.length === 0) throw badPrompt("a text reads at least one token", "none");
  for (const token of tokens) {
    if (Number.isInteger(token) && token >= 0 && token < vocabulary) continue;
    throw badPrompt(`tokens of this model are whole numbers below ${vocabulary}`, `${token}`);
  }
}

/**
 * Learned positions end; others go on, beyond what the model was trained for.
 * @param last position that the text comes to
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
 * A read that a text cannot take. That it will run out of positions is told now, and not in the middle of it.
 * @throws ParetoError LLM_PROMPT, LLM_CONTEXT
 */
export function requireRead(config: DecoderConfig, text: TextState, { tokens }: TextTokens): void {
  requireTokens(config, tokens);
  const { promptTokens = 0, maxNewTokens } = text.options;
  // The last token that is chosen is never read.
  const later = text.isRenumbered ? 0 : Math.max(0, maxNewTokens - 1);
  const end = Math.max(text.nextPosition + tokens.length, text.hasRead ? 0 : promptTokens);
  requirePosition(config, end - 1 + later);
}

/** A step that a text cannot take. @throws ParetoError LLM_PROMPT, LLM_CONTEXT */
export function requireStep(config: DecoderConfig, text: TextState, token: number): void {
  requireTokens(config, [token]);
  if (!text.hasRead || text.isPartial) throw badPrompt("a text reads its prompt first", `token ${token}`);
  requirePosition(config, text.nextPosition);
}

/** @throws ParetoError LLM_PROMPT for a text that cannot be copied out */
export function requireWhole({ hasRead, isPartial }: TextState): void {
  if (hasRead && !isPartial) return;
  throw badPrompt("a text can be copied out between two reads", isPartial ? "a read in pieces" : "no prompt");
}

/** @throws ParetoError LLM_SNAPSHOT for one of another model's shape */
export function requireFit({ layers, kvHeads, headDim }: DecoderConfig, snapshot: TextSnapshot): void {
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
