/** @file A file of a cache policy's decisions, one JSON text a line, written while a text goes on. */
import { closeSync, openSync, writeSync } from "node:fs";
import { fileError } from "../../../base/fileErrors.ts";
import type { KvDecision } from "../../../llm/kv/policy.ts";

/** Characters held back before they are written. */
const BLOCK_CHARS = 65_536;

/** The file; it replaces one that exists. */
export class DecisionsFile {
  readonly path: string;
  readonly #file: number;
  #text = "";

  /** @throws ParetoError FILE_DISK_FULL, FILE_MISSING, FILE_REFUSED */
  constructor(path: string) {
    this.path = path;
    try {
      this.#file = openSync(path, "w");
    } catch (error) {
      throw fileError(error, path);
    }
  }

  /**
   * Records a decision about a text; can be passed on as a callback.
   * @throws ParetoError FILE_DISK_FULL, FILE_REFUSED
   */
  readonly add = (decision: KvDecision, id: string | number): void => {
    this.#text += `${JSON.stringify({ id, ...decision })}\n`;
    if (this.#text.length >= BLOCK_CHARS) this.#flush();
  };

  /** Writes what is held back and closes. @throws ParetoError FILE_DISK_FULL, FILE_REFUSED */
  close(): void {
    try {
      this.#flush();
    } finally {
      closeSync(this.#file);
    }
  }

  #flush(): void {
    const bytes = Buffer.from(this.#text);
    this.#text = "";
    try {
      for (let at = 0; at < bytes.length;) at += writeSync(this.#file, bytes, at);
    } catch (error) {
      throw fileError(error, this.path);
    }
  }
}
