/** @file What is fuzzed: a reader, files that it reads well, and what its format is made of. */

/** Files that belong together, by their paths below a folder of their own. */
export type SeedFiles = ReadonlyMap<string, Uint8Array>;

/** A reader under test. */
export interface FuzzTarget {
  /** By which the command line chooses it. */
  name: string;
  /**
   * Files that are read without an error, small ones. Everything else is made from them.
   * @param scratch an empty folder
   */
  makeSeeds(scratch: string): Promise<SeedFiles[]>;
  /** Words and numbers of the format, put among the bytes. */
  words: readonly string[];
  /**
   * Reads all that there is.
   * @param folder holds the files of one seed, some changed
   * @throws ParetoError for what cannot be read; any other error is a fault of the reader
   */
  read(folder: string): Promise<void>;
  /** Makes checksums right again, so that what they guard is reached too. */
  mend?(path: string, bytes: Uint8Array): Uint8Array;
}

/** Seeds of one file each. */
export function singleFiles(name: string, contents: readonly (string | Uint8Array)[]): SeedFiles[] {
  return contents.map(
    (content) => new Map([[name, typeof content === "string" ? Buffer.from(content) : content]]),
  );
}
