/** @file Encoding gives the same rows however little memory it has: passes, slices of vocabularies, forced sorts, threads. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { encodeRows } from "../../../../../src/recsys/data/encode/encode.ts";
import { openSource } from "../../../../../src/recsys/data/source/source.ts";
import { prepareDataset } from "../../../../../src/recsys/data/encode/prepareDataset.ts";

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "pareto-encode-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

test("ids and numbers are byte-equal for any memory of vocabularies, salts, threads and order of the scan", async () => {
  const ids = Array.from({ length: 5 }, (_, c) => `'k' || ((i * ${7919 + c}) % ${3000 + c}) AS k${c}`).join(
    ", ",
  );
  const sql = `SELECT (i % 5 = 0)::INTEGER AS y, i AS v, ${ids}, [i % 7, i % 11] AS tags FROM range(100000) t(i) ORDER BY i`;
  const results: Buffer[] = [];
  for (const [n, how] of [
    { threads: 1 },
    { threads: 4 },
    // A pass for each or two of the fields, and slices of each.
    { threads: 4, tablesBytes: 100_000 },
    { threads: 4, tablesBytes: 40_000 },
    { threads: 4, salt: "a salt" },
    { threads: 4, unordered: true, tablesBytes: 200_000 },
  ].entries()) {
    await using source = await openSource({ paths: [], sql, threads: how.threads, tempDirectory: root });
    const { encoder } = await prepareDataset(
      source,
      { label: "y", dense: ["v"], minCount: 20 },
      join(root, `prepared${n}`),
    );
    if (how.unordered) {
      // Rows in an order that no scan would give, so that the sort must step in.
      await source.database.run("CREATE TABLE kept AS SELECT * FROM data ORDER BY hash(row)", "test");
      await source.database.run("CREATE OR REPLACE VIEW data AS SELECT * FROM kept", "test");
    }
    const [set] = await encodeRows(
      {
        source,
        from: () => "data",
        partSql: "0::UTINYINT",
        labelSql: "0::FLOAT",
        ...encoder.inputs(source),
        salts: encoder.schema.categorical.map(() => how.salt ?? ""),
        tempDirectory: root,
        ...how,
      },
      [join(root, `encoded${n}`)],
    );
    expect(set!.rows).toBe(100000);
    results.push(await readFile(join(set!.directory, "rows.bin")));
  }
  for (const result of results.slice(1)) expect(result.equals(results[0]!)).toBe(true);
});
