/** @file JSON and queries: every value arrives as it is, whole numbers never through a float. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { inferSchema, openSource, writePredictions, type Source } from "../../../../../src/recsys/index.ts";

let root: string;
let made = 0;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "pareto-json-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function open(lines: readonly string[]): Promise<Source> {
  const path = join(root, `${made++}.ndjson`);
  await writeFile(path, `${lines.join("\n")}\n`);
  return openSource({ paths: [path], threads: 2, tempDirectory: root });
}

/** The type of field `v` that takes these JSON values, and its values as DuckDB writes them. */
async function field(...values: string[]) {
  await using source = await open(values.map((value) => `{"y": 1, "v": ${value}}`));
  const { type, sql } = source.column("v")!;
  const rows = await source.database.rows<{ value: string | null }>(
    `SELECT CAST(${sql} AS VARCHAR) AS value FROM data ORDER BY row`,
    "test",
  );
  return { type, values: rows.map(({ value }) => value), notices: source.notices.join("\n") };
}

describe("fields of JSON", () => {
  test.each([
    [["1", "-2", "null"], "BIGINT", ["1", "-2", null]],
    [["9007199254740993", "9223372036854775807"], "BIGINT", ["9007199254740993", "9223372036854775807"]],
    [["12345678901234567890", "1"], "HUGEINT", ["12345678901234567890", "1"]],
    [["1", `${"9".repeat(40)}`], "VARCHAR", ["1", "9".repeat(40)]],
    [["1", "0.25"], "DOUBLE", ["1.0", "0.25"]],
    [["1e3", "1"], "DOUBLE", ["1000.0", "1.0"]],
    [["true", "false"], "BOOLEAN", ["true", "false"]],
    [['"01"', '"1"', '""', '"NULL"', '"é\\n"'], "VARCHAR", ["01", "1", "", "NULL", "é\n"]],
    [['"2024-01-31"', '"2024-02-01T10:00:00"'], "TIMESTAMP", ["2024-01-31 00:00:00", "2024-02-01 10:00:00"]],
    [["[1, 2]", "[]"], "BIGINT[]", ["[1, 2]", "[]"]],
    [["[12345678901234567890]", "[1]"], "VARCHAR[]", ["[12345678901234567890]", "[1]"]],
    [["[0.5, 1]"], "DOUBLE[]", ["[0.5, 1.0]"]],
    [['["a", null]'], "VARCHAR[]", ["[a, NULL]"]],
    [['{"a": 1}', '{"b": 2}'], "JSON", ['{"a":1}', '{"b":2}']],
  ])("%j are %s", async (values, type, expected) => {
    expect(await field(...values)).toEqual({ type, values: expected, notices: expect.any(String) });
  });

  test("of mixed kinds are text, and said; a late change of kind is seen", async () => {
    expect(await field('"a"', "1", "true")).toMatchObject({
      type: "VARCHAR",
      values: ["a", "1", "true"],
      notices: expect.stringContaining("strings beside other values"),
    });
    const late = await field(...Array.from({ length: 21_000 }, () => "1"), "0.5", "1.5");
    expect([late.type, late.values.slice(-2)]).toEqual(["DOUBLE", ["0.5", "1.5"]]);
  });

  test("are predicted with as they stand", async () => {
    const lines = [
      '{"id":12345678901234567890,"n":3,"x":0.5,"s":"01","tags":["a","b"],"o":{"k":1},"none":null,"probability":0.5}',
      '{"id":7,"n":9007199254740993,"x":2.0,"s":"NULL","tags":[],"o":{"k":2},"none":null,"probability":0.5}',
    ];
    await using source = await open(lines.map((line) => line.replace(',"probability":0.5', "")));
    async function* half(): AsyncGenerator<Float32Array> {
      yield Float32Array.of(0.5, 0.5);
    }
    const path = join(root, "out.ndjson");
    await writePredictions(source, half(), path);
    expect((await readFile(path, "utf8")).trim().split("\n")).toEqual(lines);
    const csv = join(root, "out.csv");
    await writePredictions(source, half(), csv);
    expect((await readFile(csv, "utf8")).split("\n")[2]).toBe(
      '7,9007199254740993,2.0,NULL,[],"{""k"":2}",,0.5',
    );
  });
});

describe("queries and Parquet", () => {
  test("keep whole numbers of 128 bits, and take those that no float holds as categories", async () => {
    await using source = await openSource({
      paths: [],
      sql: "SELECT i % 2 AS y, 12345678901234567890::HUGEINT + i AS h, 18446744073709551615::UBIGINT - i::UBIGINT AS u, sum(i) OVER () AS s, 1e17::BIGINT + i AS b FROM range(100) t(i)",
      tempDirectory: root,
    });
    const [first] = await source.database.rows("SELECT * FROM data WHERE row = 1", "test");
    expect(first).toMatchObject({ c1: "12345678901234567891", c2: 18446744073709551614n, c3: "4950" });
    const { columns } = await inferSchema(source, { label: "y" });
    expect(columns.map(({ name, type, role }) => [name, type, role])).toEqual([
      ["y", "BIGINT", "label"],
      ["h", "DECIMAL(38,0)", "categorical"],
      ["u", "UBIGINT", "categorical"],
      ["s", "DECIMAL(38,0)", "categorical"],
      ["b", "BIGINT", "categorical"],
    ]);
  });
});
