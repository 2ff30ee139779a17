/**
 * @file Makes sure that every part of a split holds both labels. A random split that leaves a part without one, as three
 * clicks among 10,000 rows do, is replaced by a stratified one: the rows of each label are ranked by the same hash and
 * cut by themselves, so that a label of three rows or more stands in every part. Where that cannot help, an error says
 * what can.
 */
import { ParetoError } from "../../../base/errors.ts";
import { labelSql } from "../schema/label.ts";
import type { Source, SourceColumn } from "../source/source.ts";
import { partsAt, withHashes, type Split, type SplitOptions } from "./split.ts";

const PARTS = ["training", "validation", "test"] as const;
type Three = [number, number, number];

/**
 * A split of which every part holds both labels: the given one, or a stratified one.
 * @param counts rows of label 0, and of label 1
 * @throws ParetoError DATA_SPLIT_ONE_CLASS
 */
export async function requireBothLabels(
  source: Source,
  split: Split,
  options: SplitOptions,
  { label, counts }: { label: SourceColumn; counts: readonly [number, number] },
): Promise<Split> {
  const found = await labelCounts(source, split, label);
  const lacking = found.findIndex((part) => part.includes(0));
  if (lacking < 0) return split;
  const rare = counts[0] < counts[1] ? 0 : 1;
  if (counts[rare] < PARTS.length) throw tooRare(source, rare, counts[rare]);
  if (options.kind === "random") return stratifiedSplit(source, options, label, counts);
  const [zeros, ones] = found[lacking]!;
  throw new ParetoError({
    code: "DATA_SPLIT_ONE_CLASS",
    where: source.name,
    message: `the ${PARTS[lacking]} part has labels of one class only, got ${zeros} zeros and ${ones} ones`,
    fix: "Use --split random, which gives each part rows of both labels; or other --fractions, or more rows.",
  });
}

/** Of each part the rows of label 0, and of label 1. */
async function labelCounts(source: Source, split: Split, label: SourceColumn): Promise<[number, number][]> {
  const counts = await source.database.rows<{ part: number; rows: number; ones: number }>(
    `SELECT part, count(*) AS rows, count_if(label = 1) AS ones FROM (SELECT ${split.partSql} AS part, ${labelSql(label)} AS label ` +
      `FROM ${split.from([label])}) GROUP BY part`,
    source.name,
  );
  return PARTS.map((_, p) => {
    const { rows = 0, ones = 0 } = counts.find(({ part }) => part === p) ?? {};
    return [rows - ones, ones];
  });
}

/** How many of so many rows each part gets: by the fractions, and one at least. @param count 3 or more */
function partSizes(count: number, fractions: Three | readonly number[]): Three {
  const sum = fractions.reduce((a, b) => a + b, 0);
  const cut = (share: number) => Math.round((count * share) / sum);
  const first = Math.min(Math.max(1, cut(fractions[0]!)), count - 2);
  const second = Math.min(Math.max(first + 1, cut(fractions[0]! + fractions[1]!)), count - 1);
  return [first, second - first, count - second];
}

async function stratifiedSplit(
  source: Source,
  { fractions, seed }: SplitOptions,
  label: SourceColumn,
  counts: readonly [number, number],
): Promise<Split> {
  const hashed = withHashes(seed, source);
  const sizes = counts.map((count) => partSizes(count, fractions));
  const cuts: { x: number; row: number }[][] = [[], []];
  for (const [value, [first, second]] of sizes.entries()) {
    for (const offset of [first, first + second]) {
      cuts[value]!.push(
        ...(await source.database.rows<{ x: number; row: number }>(
          `SELECT x, row FROM ${hashed([label])} WHERE ${labelSql(label)} = ${value} ORDER BY x, row LIMIT 1 OFFSET ${offset}`,
          source.name,
        )),
      );
    }
  }
  const before = (cut: number): string => {
    const [zeros, ones] = cuts.map((ofLabel) => {
      const { x, row } = ofLabel[cut]!;
      return `(x < ${x} OR (x = ${x} AND row < ${row}))`;
    });
    return `CASE WHEN ${labelSql(label)} = 1 THEN ${ones} ELSE ${zeros} END`;
  };
  const rare = counts[0] < counts[1] ? 0 : 1;
  return {
    ...partsAt(before),
    from: (columns) => hashed([...columns, label]),
    rows: PARTS.map((_, p) => sizes[0]![p]! + sizes[1]![p]!) as Three,
    notices: [
      `Label ${rare} is rare, so the rows of each label are divided by themselves (a stratified split): ${sizes[rare]!.join(", ")} rows of it stand in training, validation and test.`,
    ],
  };
}

function tooRare(source: Source, label: number, count: number): ParetoError {
  return new ParetoError({
    code: "DATA_SPLIT_ONE_CLASS",
    where: source.name,
    message: `training, validation and test need a row of each label, so that ${PARTS.length} rows of each are the least, got ${count} of label ${label}`,
    fix: `Give data with more rows of label ${label}; no way of dividing these can help.`,
  });
}
