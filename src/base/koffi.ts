/**
 * @file The package koffi, which calls C libraries: loaded when the first function is wanted and never before, with its
 * settings, which hold for the whole process.
 */
import { createRequire } from "node:module";
import type * as koffiModule from "koffi";
import { missingPackage } from "./missingPackage.ts";

type Koffi = typeof koffiModule;

/** Stack of a native call. koffi's own default for calls on other threads (128 KiB) is too small for a compiler. */
export const NATIVE_STACK_BYTES = 8 * 2 ** 20;

let loaded: Koffi | undefined;

/**
 * koffi itself.
 * @param code of the error when the package is not installed
 * @param purpose what needs it, as the subject of a sentence: `the cuda target`
 * @throws ParetoError of that code
 */
export function loadKoffi(code: string, purpose: string): Koffi {
  if (loaded) return loaded;
  try {
    loaded = createRequire(import.meta.url)("koffi") as Koffi;
  } catch (cause) {
    throw missingPackage(code, "koffi", purpose, cause);
  }
  try {
    loaded.config({ sync_stack_size: NATIVE_STACK_BYTES, async_stack_size: NATIVE_STACK_BYTES });
  } catch {
    // The application has used koffi before: its settings stay.
  }
  return loaded;
}
