/** @file The files of `bench/results`: `NAME-DATE.json`, what was measured and where. */
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";

/** A result file. */
export interface ResultFile<T> {
  /** With its ending. */
  name: string;
  content: T;
}

const directory = join(import.meta.dirname, "../../bench/results");
const DATED = /^(.+)-\d{4}-\d\d-\d\d\.json$/;

/** The newest of the files `NAME-DATE.json`, or null. */
export async function newestResult<T>(name: string): Promise<ResultFile<T> | null> {
  return (await newestResults<T>((found) => found === name))[0] ?? null;
}

/** Of every name that is wanted the newest file, in the order of names. */
export async function newestResults<T>(isWanted: (name: string) => boolean): Promise<ResultFile<T>[]> {
  const newest = new Map<string, string>();
  for (const file of (await readdir(directory)).sort()) {
    const name = DATED.exec(file)?.[1];
    if (name !== undefined && isWanted(name)) newest.set(name, file);
  }
  return Promise.all(
    Array.from(newest.values(), async (name) => ({
      name,
      content: JSON.parse(await readFile(join(directory, name), "utf8")) as T,
    })),
  );
}

/** A link from a page in `docs/results`. */
export const linkTo = ({ name }: ResultFile<unknown>): string => `[${name}](../../bench/results/${name})`;
