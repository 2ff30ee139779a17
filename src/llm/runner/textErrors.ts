/** @file What every runner refuses of a text. */
import { ParetoError } from "../../engine/errors.ts";
import type { DecoderConfig } from "../models/decoder.ts";
import type { TextSnapshot } from "./runner.ts";

/** Tokens or a call that a text cannot take. */
export function badPrompt(message: string, received: string): ParetoError {
  return new ParetoError({
    code: "LLM_PROMPT",
    where: "LlmRunner",
    message: `${message}, got ${received}`,
    fix: "Begin a text in a seat, read its prompt, then step token by token.",
  });
}

/** A seat that is not there, or has no text. */
export function badSeat(message: string, seat: number): ParetoError {
  return new ParetoError({
    code: "LLM_SEAT",
    where: "LlmRunner",
    message: `${message}, got seat ${seat}`,
    fix: "Open the runner with enough seats, and begin a text in a seat before it reads.",
  });
}

/** @throws ParetoError LLM_SEAT for a seat that comes twice in a call */
export function requireOnce(texts: readonly { seat: number }[]): void {
  const seats = texts.map(({ seat }) => seat);
  const twice = seats.find((seat, i) => seats.includes(seat, i + 1));
  if (twice !== undefined) throw badSeat("a seat comes once in a call", twice);
}

/** @throws ParetoError LLM_PROMPT for no token, or one that the model lacks */
export function requireTokens({ vocabulary }: DecoderConfig, tokens: readonly number[]): void {
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
export function requirePosition({ maxPositions, hasLearnedPositions }: DecoderConfig, last: number): void {
  if (!hasLearnedPositions || last < maxPositions) return;
  throw new ParetoError({
    code: "LLM_CONTEXT",
    where: "LlmRunner",
    message: `the model has learned ${maxPositions} positions, got position ${last}`,
    fix: "Shorten the prompt or generate fewer tokens, or take a policy that numbers positions anew.",
  });
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
