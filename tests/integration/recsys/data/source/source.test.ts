/** @file Opening sources: formats, order over files and threads, odd names, and every kind of bad input. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Database } from "../../../../../src/recsys/data/source/duckdb.ts";
import { openSource } from "../../../../../src/recsys/data/source/source.ts";
import type { SourceOptions } from "../../../../../src/recsys/data/source/source.ts";

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "pareto-source-test-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function file(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(root, name);
  await writeFile(path, content);
  return path;
}

async function parquet(name: string, sql: string): Promise<string> {
  const path = join(root, name);
  const database = await Database.open(root, { threads: 2 });
  await database.run(`COPY (${sql}) TO '${path}' (FORMAT parquet, ROW_GROUP_SIZE 2048)`, name);
  database.close();
  return path;
}

async function read(options: SourceOptions): Promise<{
  names: string[];
  types: string[];
  rows: Record<string, unknown>[];
  notices: readonly string[];
  skipped: number;
}> {
  await using source = await openSource({ threads: 2, tempDirectory: root, ...options });
  return {
    names: source.columns.map((column) => column.name),
    types: source.columns.map((column) => column.type),
    rows: await source.database.rows(
      `SELECT ${source.columns.map(({ sql }) => `${sql}, `).join("")}row FROM data ORDER BY row`,
      "test",
    ),
    notices: source.notices,
    skipped: source.skippedRows,
  };
}

/** 40,000 rows whose first field counts from `from`. */
function lines(from: number): string {
  return `v,w\n${Array.from({ length: 40000 }, (_, i) => `${from + i},x${i % 7}`).join("\n")}\n`;
}

/** An assertion on how reading fails. */
function failure(options: SourceOptions) {
  return expect(read(options)).rejects;
}

describe("reading", () => {
  test("numbers the rows of several Parquet files in the order given, with many threads", async () => {
    const first = await parquet("order-b.parquet", "SELECT i AS v FROM range(30000) t(i)");
    const second = await parquet("order-a.parquet", "SELECT 30000 + i AS v FROM range(30000) t(i)");
    const { rows } = await read({ paths: [first, second], threads: 4 });
    expect(rows.length).toBe(60000);
    expect(rows.every((row, i) => row["c0"] === i && row["row"] === i)).toBe(true);
  });

  test("numbers the rows of several CSV files, of a glob and of a query in order, with many threads", async () => {
    await file("glob-1.csv", lines(0));
    await file("glob-2.csv", lines(40000));
    const { rows } = await read({ paths: [join(root, "glob-*.csv")], threads: 4 });
    expect(rows.length).toBe(80000);
    expect(rows.every((row, i) => row["c0"] === i && row["row"] === i)).toBe(true);
    const query = await read({
      paths: [join(root, "glob-*.csv")],
      sql: "SELECT v FROM source ORDER BY v DESC;",
      threads: 4,
    });
    expect(query.rows.every((row, i) => row["c0"] === 79999 - i && row["row"] === i)).toBe(true);
  });

  test("keeps odd names and values apart: keywords, quotes, spaces, unicode, its own names, names equal but for case", async () => {
    const path = await file(
      "odd.csv",
      '\uFEFFselect,"a ""q"", b",ünï cödé,row,file_row_number,c0,Row\n1,"x, ""y""",é,5,6,7,8\n0,"two\nlines",NA,7,9,8,7\n',
    );
    const { names, rows } = await read({ paths: [path] });
    expect(names).toEqual(["select", 'a "q", b', "ünï cödé", "row", "file_row_number", "c0", "Row"]);
    expect(rows[0]).toEqual({ c0: 1, c1: 'x, "y"', c2: "é", c3: 5, c4: 6, c5: 7, c6: 8, row: 0 });
    expect(rows[1]).toMatchObject({ c1: "two\nlines", c2: "NA" });
    const odd = await parquet(
      "odd.parquet",
      'SELECT i AS file_row_number, i + 1 AS "row" FROM range(3) t(i)',
    );
    expect((await read({ paths: [odd] })).rows).toEqual([
      { c0: 0, c1: 1, row: 0 },
      { c0: 1, c1: 2, row: 1 },
      { c0: 2, c1: 3, row: 2 },
    ]);
  });

  test("reads packed files, other delimiters, NDJSON with lists, and a query over files directly", async () => {
    const packed = await file("packed.csv.gz", gzipSync("y;v\n1;2.5\n0;NaN\n"));
    expect((await read({ paths: [packed] })).types).toEqual(["BIGINT", "DOUBLE"]);
    const tabs = await file("tabs.tsv", "y\tv\n1\ta\n");
    expect((await read({ paths: [tabs] })).rows).toEqual([{ c0: 1, c1: "a", row: 0 }]);
    const lists = await file("lists.ndjson", '{"y":1,"tags":["a","b"]}\n{"y":0,"tags":[]}\n');
    expect((await read({ paths: [lists] })).types).toEqual(["BIGINT", "VARCHAR[]"]);
    const direct = await read({ paths: [], sql: `SELECT y + 1 AS z FROM '${lists}'` });
    expect(direct.rows).toEqual([
      { c0: 2, row: 0 },
      { c0: 1, row: 1 },
    ]);
  });

  test("widens a type when a late row disagrees", async () => {
    const rows = Array.from({ length: 30000 }, (_, i) => `${i % 2},${i}`).join("\n");
    const path = await file("late.csv", `y,v\n${rows}\n1,abc\n`);
    const found = await read({ paths: [path] });
    expect(found.rows.length).toBe(30001);
    expect(found.types).toEqual(["BIGINT", "VARCHAR"]);
    expect(found.rows.at(-1)).toMatchObject({ c1: "abc" });
  });

  test("reads marks of absence as missing in columns of numbers only, and says so", async () => {
    const path = await file("na.csv", "y,age,country\n1,NA,NA\n0,31,DE\n");
    const { rows, notices } = await read({ paths: [path] });
    expect(rows.map((row) => [row["c1"], row["c2"]])).toEqual([
      [null, "NA"],
      [31, "DE"],
    ]);
    expect(notices.join()).toContain('"age"');
  });

  test("keeps named columns as text", async () => {
    const path = await file("text.csv", "y,code\n1,007\n0,010\n");
    expect((await read({ paths: [path], textColumns: ["code"] })).rows[0]).toMatchObject({ c1: "007" });
  });
});

describe("bad input", () => {
  test("names a missing file, a pattern without a match, and an empty file", async () => {
    await failure({ paths: [join(root, "none.csv")] }).toMatchObject({
      name: "ParetoError",
      code: "FILE_MISSING",
      message: expect.stringContaining("none.csv"),
    });
    await failure({ paths: [join(root, "none-*.csv")] }).toMatchObject({ code: "FILE_MISSING" });
    const empty = await file("empty.csv", "");
    await failure({ paths: [empty] }).toMatchObject({ code: "DATA_FILE_EMPTY", where: empty });
    const header = await file("header.csv", "a,b\n");
    await failure({ paths: [header] }).toMatchObject({ code: "DATA_EMPTY" });
  });

  test("names a truncated Parquet file", async () => {
    const whole = await parquet("whole.parquet", "SELECT i AS v FROM range(5000) t(i)");
    const cut = await file("cut.parquet", (await readFile(whole)).subarray(0, 9000));
    await failure({ paths: [cut] }).toMatchObject({ code: "DATA_PARQUET_DAMAGED", where: cut });
    await failure({ paths: [whole, cut] }).toMatchObject({ code: "DATA_PARQUET_DAMAGED", where: cut });
  });

  test("names file and row of a malformed CSV row, or skips and counts", async () => {
    const path = await file("bad.csv", "a,b,c\n1,2,3\n4,5\n6,7,8\n9,10,11,12\n1,1,2\n");
    await failure({ paths: [path] }).toMatchObject({
      code: "DATA_CSV_ROW",
      where: `${path}:3`,
      message: expect.stringMatching(/^row 2 .*2 such rows\), got 4,5$/),
    });
    const { rows, skipped, notices } = await read({ paths: [path], onBadRow: "skip" });
    expect(rows.map((row) => row["c0"])).toEqual([1, 6, 1]);
    expect(skipped).toBe(2);
    expect(notices.join()).toContain("2 malformed rows");
  });

  test("refuses duplicate names in files and queries, and files whose columns differ", async () => {
    const csv = await file("dup.csv", "a,b,a\n1,2,3\n");
    await failure({ paths: [csv] }).toMatchObject({ code: "DATA_COLUMN_DUPLICATE", where: csv });
    const other = await file("other.csv", "a,c\n1,2\n");
    const first = await file("first.csv", "a,b\n1,2\n");
    await failure({ paths: [first, other] }).toMatchObject({ code: "DATA_COLUMNS_DIFFER", where: other });
    const turned = await file("turned.csv", "b,a\n1,2\n");
    await failure({ paths: [first, turned] }).toMatchObject({ code: "DATA_COLUMNS_DIFFER", where: turned });
    await failure({ paths: [first], sql: "SELECT a, b AS a FROM source" }).toMatchObject({
      code: "DATA_COLUMN_DUPLICATE",
    });
  });

  test("wraps what DuckDB says about queries and broken JSON", async () => {
    const first = await file("fine.csv", "a,b\n1,2\n");
    await failure({ paths: [first], sql: "SELEC 1" }).toMatchObject({ code: "DATA_SQL" });
    await failure({ paths: [first], sql: "SELECT nope FROM source" }).toMatchObject({
      code: "DATA_SQL",
      message: expect.stringContaining("nope"),
    });
    const json = await file("broken.ndjson", '{"y":1}\n{"y":\n');
    await failure({ paths: [json] }).toMatchObject({ name: "ParetoError", code: "DATA_READ" });
  });

  test("refuses archives and mixed formats", async () => {
    const zip = await file("a.zip", Buffer.from("PK\u0003\u0004rest"));
    await failure({ paths: [zip] }).toMatchObject({ code: "DATA_FORMAT_UNKNOWN" });
    const csv = await file("mixed.csv", "a\n1\n");
    const json = await file("mixed.ndjson", '{"a":1}\n');
    await failure({ paths: [csv, json] }).toMatchObject({ code: "DATA_FORMATS_MIXED" });
  });
});
