/** @file The vocabulary of a `tokenizer.json`: names of tokens and their ids, checked. */
import { z } from "zod";
import { ParetoError } from "../../../base/errors.ts";
import { damagedModel } from "../../load/modelErrors.ts";
import { placeText, type Place } from "../component.ts";

/** One more than the largest id: no model has near as many, and pairs of ids must be exact. */
export const MOST_IDS = 2 ** 24;

/** An id of a token. */
export const idSchema = z
  .int()
  .min(0)
  .max(MOST_IDS - 1);

/** Names with their ids. A large object; checked by hand, since zod would copy it. */
export const vocabularySchema = z.custom<Record<string, number>>(
  (value) =>
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    Object.values(value).every((id) => Number.isInteger(id) && id >= 0 && id < MOST_IDS),
  `expected an object of tokens with ids from 0 to ${MOST_IDS - 1}`,
);

/** A vocabulary as a map. @throws ParetoError LLM_MODEL_DAMAGED where two tokens share an id */
export function vocabularyMap(vocabulary: Record<string, number>, place: Place): Map<string, number> {
  const ids = new Map(Object.entries(vocabulary));
  const tokens = new Map<number, string>();
  for (const [token, id] of ids) {
    const other = tokens.get(id);
    if (other !== undefined) {
      const problem = `every token must have an id of its own; ${id} is that of ${JSON.stringify(other)}`;
      throw damagedModel(placeText(place), problem, JSON.stringify(token));
    }
    tokens.set(id, token);
  }
  return ids;
}

/** The error for a piece that no token covers, where there is no unknown token either. */
export function unknownText(place: Place, piece: string): ParetoError {
  return new ParetoError({
    code: "LLM_TEXT_UNKNOWN",
    where: placeText(place),
    message: `a text must consist of tokens, since this tokenizer has none for unknown text, got ${JSON.stringify(piece.slice(0, 40))}`,
    fix: "Leave that out of the text, or use a tokenizer with an unknown token.",
  });
}
