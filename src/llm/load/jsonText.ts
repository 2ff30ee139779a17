/** @file JSON as files of models hold it; some editors put a byte order mark before it, which is not part of it. */
import { JsonTextError, parseJsonText } from "../../base/jsonText.ts";
import { damagedModel, shownValue } from "./modelErrors.ts";
import { FIRST_BYTES, isLfsPointer, lfsPointer } from "./otherFormats.ts";

/**
 * The object that a file of a model holds, in which no key stands twice.
 * @param where its path
 * @throws ParetoError LLM_MODEL_DAMAGED
 */
export function parseJsonObject(text: string, where: string): object {
  if (isLfsPointer(Buffer.from(text.slice(0, FIRST_BYTES)))) throw lfsPointer(where);
  try {
    const json = parseJsonText(text);
    if (typeof json === "object" && json !== null && !Array.isArray(json)) return json;
    throw damagedModel(where, "the file must be a JSON object", shownValue(json));
  } catch (error) {
    if (error instanceof JsonTextError)
      throw damagedModel(where, `the file ${error.problem}`, error.received);
    throw error;
  }
}
