/** @file Keys of values that do not tell them apart are found out, and others taken. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { findSalt, keySql, type KeySql } from "../../../../../src/recsys/data/encode/categoryKeys.ts";
import { Database } from "../../../../../src/recsys/data/source/duckdb.ts";

test("values whose keys are equal, or that of a missing value, get a salt", async () => {
  const folder = await mkdtemp(join(tmpdir(), "pareto-keys-"));
  const database = await Database.open(folder, { threads: 1 });
  try {
    const values = (count: number) => `(SELECT 'value ' || i AS value FROM range(${count}) t(i))`;
    const salted = (value: string, salt: string) => keySql(value, salt === "" ? "another" : salt);
    const cases: [what: string, weak: KeySql, isSalted: boolean][] = [
      ["DuckDB's hash", keySql, false],
      ["a salted hash", salted, false],
      ["15 bits", (v, salt) => (salt === "" ? `hash(${v}) & 32767` : salted(v, salt)), true],
      [
        "missing as a value",
        (v, salt) => (salt === "" ? `hash(coalesce(${v}, 'value 7'))` : salted(v, salt)),
        true,
      ],
    ];
    for (const [what, weak, isSalted] of cases) {
      const from = `(FROM ${values(5000)} UNION ALL SELECT NULL)`;
      const found = await findSalt(database, from, "VARCHAR", "test", undefined, weak);
      expect(found.values, what).toBe(5000);
      expect(found.salt !== "", what).toBe(isSalted);
    }
    const useless: KeySql = (v) => `CASE WHEN ${v} IS NULL THEN 1 ELSE 2 END`;
    await expect(findSalt(database, values(2), "VARCHAR", "test", undefined, useless)).rejects.toThrow(
      "salts",
    );
    expect((await findSalt(database, values(1), "VARCHAR", "test", undefined, useless)).salt).toBe("");
  } finally {
    database.close();
    await rm(folder, { recursive: true, force: true });
  }
});
