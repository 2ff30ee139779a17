/** @file What can be wrong with a language model on disk. */
import { ParetoError } from "../../base/errors.ts";

/** A value of `config.json`, or a kind of model, that is not supported. */
export function unsupported(where: string, what: string, received: unknown, known: string): ParetoError {
  return new ParetoError({
    code: "LLM_UNSUPPORTED",
    where,
    message: `${what} is not supported, got ${JSON.stringify(received)}`,
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
