/**
 * @file Hand-written kernels: CUDA C++ files of this folder, specialised by definitions put in front of them.
 *
 * A file holds one `extern "C" __global__` function a name; `prelude.cuh` stands in front of each. A line
 * `#include "file.cuh"` stands for that file of this folder, once. Nothing else is included, so that no CUDA headers
 * need to be installed.
 */
import { readFileSync } from "node:fs";
import type { KernelSource } from "../plan.ts";

const files = new Map<string, string>();

function read(file: string): string {
  let text = files.get(file);
  if (text === undefined) {
    text = readFileSync(new URL(file, import.meta.url), "utf8");
    files.set(file, text);
  }
  return text;
}

/** A file with the files of this folder that it includes. */
function expand(file: string, included: Set<string>): string {
  included.add(file);
  return read(file).replace(/^#include "([^"]+)"$/gm, (_, name: string) =>
    included.has(name) ? "" : expand(name, included),
  );
}

/**
 * A kernel of a file.
 * @param file of this folder, e.g. `softmax.cu`
 * @param name the function to launch
 * @param defines macros that specialise the file; their order is part of the source
 */
export function cuSource(
  file: string,
  name: string,
  defines: Readonly<Record<string, number | string>> = {},
): KernelSource {
  const macros = Object.entries(defines).map(([macro, value]) => `#define ${macro} ${value}\n`);
  const included = new Set<string>();
  return { name, code: `${macros.join("")}${expand("prelude.cuh", included)}\n${expand(file, included)}` };
}
