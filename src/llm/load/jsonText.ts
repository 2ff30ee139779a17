/** @file JSON as files of models hold it; some editors put a byte order mark before it, which is not part of it. */
import { readFile } from "node:fs/promises";
import { fileError } from "../../base/fileErrors.ts";
import { damagedModel } from "./modelErrors.ts";

/**
 * The value of a JSON text.
 * @param where its path
 * @throws ParetoError LLM_MODEL_DAMAGED
 */
export function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text.replace(/^\uFEFF/, ""));
  } catch {
    throw damagedModel(where, "the file must be JSON", JSON.stringify(text.slice(0, 40)));
  }
}

/** The text of a file, or null where there is none. @throws ParetoError FILE_REFUSED */
export async function textOf(path: string): Promise<string | null> {
  return readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return null;
    throw fileError(error, path);
  });
}
