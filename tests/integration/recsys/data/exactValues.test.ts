/**
 * @file Every value of random CSV files arrives as a slow, exact reader reads it: `PARETO_CSV_FILES` files (default 1,000),
 * seeded by their number, so that a failure is repeated by its number alone.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Rng } from "../../../../src/base/rng.ts";
import { TypeDecider } from "../../../../src/recsys/data/schema/decideTypes.ts";
import { Database } from "../../../../src/recsys/data/source/duckdb.ts";
import { openSource } from "../../../../src/recsys/data/source/source.ts";
import { stageText } from "../../../../src/recsys/data/source/stageText.ts";
import { exactColumn, splitCsv, type ExactValue } from "../../../support/recsys/exactCsv.ts";
import { randomCsv, type RandomCsv } from "../../../support/recsys/randomCsv.ts";

const FILES = Number(process.env["PARETO_CSV_FILES"] ?? 1000);

/** Every so many files, one is opened as a whole source, and one changes its shape beyond what DuckDB samples. */
const WHOLE_EVERY = 100;
const LATE_EVERY = 400;
const LATE_ROWS = 20_600;

/** What was read of a column. */
interface ReadColumn {
  type: string;
  values: ExactValue[];
  written: (string | null)[];
}

/** SQL of a value that comes back without loss. */
function portable(type: string, sql: string): string {
  return /^(DATE|TIME)/.test(type) ? `epoch_ns(${sql})` : sql;
}

async function readColumns(
  database: Database,
  columns: readonly { type: string; sql: string; written: string }[],
  from: string,
): Promise<ReadColumn[]> {
  const list = columns.flatMap(({ type, sql, written }, i) => [
    `${portable(type, sql)} AS v${i}`,
    `${written} AS w${i}`,
    `typeof(${sql}) AS y${i}`,
  ]);
  const rows = await database.rows<Record<string, string | number | bigint | boolean | null>>(
    `SELECT ${list.join(", ")} FROM ${from}`,
    "test",
  );
  return columns.map(({ type }, i) => {
    expect(rows.every((row) => row[`y${i}`] === type)).toBe(true);
    return {
      type,
      values: rows.map((row) => row[`v${i}`]!),
      written: rows.map((row) => row[`w${i}`] as string | null),
    };
  });
}

/** Values as one kind each: whole numbers as bigint, other numbers as text that tells −0 and NaN apart. */
function comparable(value: ExactValue, type: string): ExactValue {
  if (value === null || typeof value === "string" || typeof value === "boolean") return value;
  if (type === "DOUBLE") return Object.is(value, -0) ? "-0" : String(value);
  return BigInt(value);
}

function compare(file: RandomCsv, read: readonly ReadColumn[], which: string): number {
  const [, ...records] = splitCsv(file.text.replace(/^\uFEFF/, ""), file.delimiter);
  let compared = 0;
  for (const [c, column] of read.entries()) {
    const exact = exactColumn(
      records.map((record) => record[c]!),
      file.delimiter,
    );
    const where = `${which}, column ${c}`;
    if (column.type !== exact.type) {
      expect(`${where}: ${column.type} of ${JSON.stringify(exact.written.slice(0, 20))}`).toBe(exact.type);
    }
    expect(column.values.length, where).toBe(exact.values.length);
    for (const [r, value] of column.values.entries()) {
      compared++;
      const [got, wanted] = [comparable(value, column.type), comparable(exact.values[r]!, column.type)];
      if (got !== wanted) expect(`${where}, row ${r + 1}: ${got}`).toBe(String(wanted));
      if (column.written[r] !== exact.written[r]) {
        expect(`${where}, row ${r + 1}: ${JSON.stringify(column.written[r])}`).toBe(exact.written[r]);
      }
    }
  }
  return compared;
}

test(
  `${FILES} random CSV files are read exactly`,
  async () => {
    const directory = await mkdtemp(join(tmpdir(), "pareto-exact-"));
    let database = await Database.open(directory, { threads: 2 });
    let compared = 0;
    try {
      const path = join(directory, "file.csv");
      const files = { paths: [path], names: [path], notices: [] };
      const options = { format: "csv", onBadRow: "error", csv: {}, partitions: [] } as const;
      for (let n = 0; n < FILES; n++) {
        const file = randomCsv(new Rng(n, 0xc5), n % LATE_EVERY === LATE_EVERY - 1 ? LATE_ROWS : 0);
        await writeFile(path, file.text);
        if (n % WHOLE_EVERY === 0) {
          await using source = await openSource({ paths: [path], threads: 2, tempDirectory: directory });
          const read = await readColumns(source.database, source.columns, "data ORDER BY row");
          compared += compare(file, read, `file ${n}`);
          // What DuckDB notes of files read grows with them.
          database.close();
          database = await Database.open(directory, { threads: 2 });
          continue;
        }
        const staged = await stageText(database, files, directory, options);
        const { from } = staged;
        const hints = { delimiter: staged.delimiter, textColumns: [], forms: {} };
        const columns = await new TypeDecider(database, from, path, hints).decide(staged.names);
        const read = await readColumns(
          database,
          columns.map((column) => ({ ...column, written: column.text })),
          `${from} ORDER BY file_row_number`,
        );
        compared += compare(file, read, `file ${n}`);
      }
    } finally {
      database.close();
      await rm(directory, { recursive: true, force: true });
    }
    expect(compared).toBeGreaterThan(FILES * 10);
  },
  60_000 + FILES * 100,
);
