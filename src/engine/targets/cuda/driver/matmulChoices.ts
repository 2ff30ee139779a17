/**
 * @file Which algorithm was fastest, kept on disk, so that another process on the same GPU multiplies by the same
 * algorithms, to the last bit, and times nothing again.
 *
 * One small file for each GPU model and version of cuBLASLt. A choice counts only while cuBLASLt still proposes that
 * algorithm, so a damaged or foreign file costs time, not correctness. Two processes that write at once may lose each
 * other's newest choices.
 */
import { randomUUID } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { cubinKey } from "./cubinCache.ts";
import type { Algorithm } from "./ltOperation.ts";

/** Choices of one GPU model and version of cuBLASLt. */
export class MatmulChoices {
  readonly #path: string;
  #known: Record<string, string>;

  /** @param parts what the choices depend on beside the matmul */
  constructor(directory: string, ...parts: readonly string[]) {
    this.#path = join(directory, `matmuls-${cubinKey(...parts).slice(0, 16)}.json`);
    this.#known = this.#read();
  }

  /** The choice for a matmul, if it is among the proposals. */
  find(matmul: string, proposals: readonly Algorithm[]): Algorithm | undefined {
    const known = this.#known[matmul];
    return known === undefined ? undefined : proposals.find((algorithm) => encode(algorithm) === known);
  }

  /** Keeps a choice. */
  keep(matmul: string, algorithm: Algorithm): void {
    this.#known = { ...this.#read(), ...this.#known, [matmul]: encode(algorithm) };
    try {
      mkdirSync(dirname(this.#path), { recursive: true });
      const temporary = `${this.#path}.${randomUUID()}`;
      writeFileSync(temporary, JSON.stringify(this.#known));
      renameSync(temporary, this.#path);
    } catch {
      // Without a folder to write to, the choice is made again by the next process.
    }
  }

  #read(): Record<string, string> {
    try {
      // Values that are no text equal no proposal.
      const read = JSON.parse(readFileSync(this.#path, "utf8")) as Record<string, string> | null;
      return read !== null && typeof read === "object" ? read : {};
    } catch {
      return {};
    }
  }
}

function encode(algorithm: Algorithm): string {
  return Buffer.from(algorithm).toString("base64");
}
