/**
 * @file Columns that stand in the names of folders: `clicks/day=2024-01-01/part-0.parquet`, as Hive, Spark and pandas
 * write partitioned tables. Pure.
 */
import { ParetoError } from "../../../base/errors.ts";

/** Hive's name of a missing value. */
const MISSING = "__HIVE_DEFAULT_PARTITION__";

/** A column of partitions: its name, and its value for each file. */
export interface Partition {
  name: string;
  values: (string | null)[];
}

function pairsOf(path: string): Map<string, string | null> {
  const folders = path.split(/[/\\]/).slice(0, -1);
  const pairs = new Map<string, string | null>();
  for (const folder of folders) {
    const at = folder.indexOf("=");
    if (at < 1) continue;
    const value = decode(folder.slice(at + 1));
    pairs.set(decode(folder.slice(0, at)), value === MISSING ? null : value);
  }
  return pairs;
}

/** Spark escapes what a path cannot hold: `%3A`. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/**
 * The partitions of files.
 * @throws ParetoError DATA_COLUMNS_DIFFER where some files lie in other folders than the rest
 */
export function partitionsOf(files: readonly string[]): Partition[] {
  const all = files.map(pairsOf);
  const names = [...(all[0]?.keys() ?? [])];
  for (const [i, pairs] of all.entries()) {
    const odd = [...names, ...pairs.keys()].find((name) => !pairs.has(name) || !names.includes(name));
    if (odd === undefined) continue;
    throw new ParetoError({
      code: "DATA_COLUMNS_DIFFER",
      where: files[i]!,
      message: `all files of a source must lie in folders KEY=VALUE of the same keys, or none in such, got "${odd}" for some of them only`,
      fix: "Name the files of one layout, e.g. by a pattern.",
    });
  }
  return names.map((name) => ({ name, values: all.map((pairs) => pairs.get(name)!) }));
}
