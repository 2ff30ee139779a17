/** @file What can be wrong with a language model on disk, and how lists of names are shortened. */
import { ParetoError } from "../../base/errors.ts";
import type { NoticeEvent } from "../../run/events.ts";

/** Most names that a message lists. */
const SHOWN = 5;
/** Most characters of a value that a message shows. */
const SHOWN_LENGTH = 80;

/** Names, shortened. */
export function shownNames(names: readonly string[]): string {
  const more = names.length > SHOWN ? ` and ${names.length - SHOWN} more` : "";
  return `${names.slice(0, SHOWN).join(", ")}${more}`;
}

/** A value of a JSON file, shortened. */
export function shownValue(value: unknown): string {
  const text = String(JSON.stringify(value));
  return text.length > SHOWN_LENGTH ? `${text.slice(0, SHOWN_LENGTH)}…` : text;
}

/** Something about a model's files that its user should know. */
export function modelNotice(message: string): NoticeEvent {
  return { event: "notice", level: "warning", code: "LLM_MODEL", message };
}

/** A value of `config.json`, or a kind of model, that is not supported. */
export function unsupported(where: string, what: string, received: unknown, known: string): ParetoError {
  return new ParetoError({
    code: "LLM_UNSUPPORTED",
    where,
    message: `${what} is not supported, got ${shownValue(received)}`,
    fix: `Use a model with: ${known}.`,
  });
}

/** A file of a model that is not what it should be. */
export function damagedModel(where: string, what: string, received: string | number): ParetoError {
  return new ParetoError({
    code: "LLM_MODEL_DAMAGED",
    where,
    message: `${what}, got ${received}`,
    fix: "Download or write the model again.",
  });
}

/** Something that a model needs and that is not there. */
export function missingFile(where: string, what: string, received: string, fix: string): ParetoError {
  return new ParetoError({ code: "LLM_FILE_MISSING", where, message: `${what}, got ${received}`, fix });
}
