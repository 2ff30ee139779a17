/** @file Readers with a fault each, to test what finds them. A file of the letters abcd is read well. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { ParetoError } from "../../../src/base/errors.ts";
import { singleFiles, type FuzzTarget } from "../../../scripts/fuzz/target.ts";

const refused = (code: string): ParetoError =>
  new ParetoError({ code, where: "here", message: "it is refused, got it", fix: "Give another." });

/** What each does with a file that was changed. */
const FAULTS: Record<string, () => unknown> = {
  none: () => {
    throw refused("REFUSED");
  },
  untyped: () => {
    throw new TypeError("it is null");
  },
  internal: () => {
    throw refused("INTERNAL");
  },
  late: () => void Promise.reject(new Error("nobody waits for it")),
  hang: () => {
    for (;;);
  },
  wait: () => new Promise(() => undefined),
  memory: () => {
    if (Buffer.alloc(200 * 2 ** 20, 1).length === 0) throw new Error("it has none");
  },
};

const kept: unknown[] = [];
FAULTS["heap"] = () => {
  for (;;) kept.push(Array.from({ length: 1e6 }));
};

/** As the readers of Pareto are found. */
export function fuzzTarget(name: string): FuzzTarget {
  return {
    name,
    makeSeeds: async () => singleFiles("file.txt", ["abcd"]),
    words: ["x"],
    async read(folder) {
      const text = await readFile(join(folder, "file.txt"), "utf8");
      if (text !== "abcd") await FAULTS[name]!();
    },
  };
}
