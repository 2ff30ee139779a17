/** @file The compiled row kernels: `kernels.wasm` beside this file, read and compiled once a process. */
import { readFile } from "node:fs/promises";
import { ParetoError } from "../../../../base/errors.ts";
import { type WasmModule, webAssembly } from "./webAssembly.ts";

/** Exports of `assembly/index.ts` (their parameters are documented there), and the worker's own `moveRows`. */
export const KERNEL_NAMES = [
  "fillUniform",
  "fillValue",
  "findDistinct",
  "gatherRows",
  "refreshRows",
  "translateRows",
  "deferRows",
  "forwardRows",
  "readLines",
  "readBytes",
  "updateSgd",
  "updateAdagrad",
  "updateRowwiseAdagrad",
  "updateAdam",
  "placeRows",
  "turnKeys",
  "attendRows",
  "decodeToken",
  "multiplyRows",
  "fillNoise",
  "mapExp",
  "mapLog",
  "moveRows",
] as const;

/** A kernel that a thread pool can run. */
export type KernelName = (typeof KERNEL_NAMES)[number];

let compiled: Promise<WasmModule> | undefined;

/**
 * The kernels, compiled.
 * @throws ParetoError KERNELS_MISSING
 */
export function kernelModule(): Promise<WasmModule> {
  compiled ??= (async () => {
    const file = new URL("./kernels.wasm", import.meta.url);
    try {
      return await webAssembly.compile(await readFile(file));
    } catch (cause) {
      compiled = undefined;
      throw new ParetoError({
        code: "KERNELS_MISSING",
        where: "kernelModule",
        message: `the compiled row kernels cannot be loaded, got ${file.href}`,
        fix: "In a checkout, run `npm run prepare`, which builds them; else install the package again.",
        cause,
      });
    }
  })();
  return compiled;
}
