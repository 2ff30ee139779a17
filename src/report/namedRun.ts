/** @file Runs as a page shows them: by short names, no two the same. Pure. */
import { basename } from "node:path";
import type { RunFiles } from "../run/readRun.ts";

/** A run by the name that the page shows, e.g. `baseline`. */
export interface NamedRun {
  name: string;
  files: RunFiles;
}

/** Runs by names; where two have the same, the names of their folders tell them apart. */
export function namedRuns(
  runs: readonly RunFiles[],
  nameOf: (run: RunFiles, index: number) => string,
): NamedRun[] {
  const names = runs.map((run, i) => nameOf(run, i));
  return runs.map((files, i) => {
    const name = names[i]!;
    const isAlone = names.indexOf(name) === names.lastIndexOf(name);
    return { name: isAlone ? name : `${name}, ${basename(files.path)}`, files };
  });
}
