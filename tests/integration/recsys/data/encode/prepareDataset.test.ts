/** @file Preparation from end to end: roles, labels, splits, vocabularies, encoding, reuse, and predictions. */
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Database } from "../../../../../src/recsys/data/source/duckdb.ts";
import type { EncodedDataset } from "../../../../../src/recsys/data/encode/encodedDataset.ts";
import {
  Encoder,
  inferSchema,
  openSource,
  prepareDataset,
  writePredictions,
} from "../../../../../src/recsys/index.ts";
import type {
  PrepareOptions,
  PreparedDataset,
  Source,
  SourceOptions,
} from "../../../../../src/recsys/index.ts";

let root: string;
let made = 0;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "pareto-prepare-test-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function open(sql: string, options: Partial<SourceOptions> = {}): Promise<Source> {
  return openSource({ paths: [], sql, threads: 2, tempDirectory: root, ...options });
}

async function prepare(sql: string, options: PrepareOptions): Promise<PreparedDataset> {
  await using source = await open(sql);
  return await prepareDataset(source, options, join(root, `prepared${made++}`));
}

interface Row {
  position: number;
  label: number;
  dense: number[];
  bags: number[][];
}

async function rowsOf(set: EncodedDataset): Promise<Row[]> {
  const rows: Row[] = [];
  for await (const batch of set.batches({ batchSize: 1000 })) {
    const { ids, offsets, tables } = batch.lookups;
    for (let b = 0; b < batch.size; b++) {
      rows.push({
        position: batch.rows[b]!,
        label: batch.labels[b]!,
        dense: [...batch.dense.subarray(b * set.layout.dense, (b + 1) * set.layout.dense)],
        bags: Array.from({ length: tables }, (_, t) => {
          const bag = t * batch.size + b;
          return offsets === null ? [ids[bag]!] : [...ids.subarray(offsets[bag]!, offsets[bag + 1]!)];
        }),
      });
    }
  }
  return rows;
}

/** An assertion on how a preparation fails. */
function attempt(sql: string, options: PrepareOptions = { label: "y" }) {
  return expect(prepare(sql, options)).rejects;
}

function hex(value: number): string {
  return (value >>> 0).toString(16).padStart(8, "0");
}

/** 1000 lines with missing fields, negative counts and 8-digit hexadecimal ids. */
function criteoLines(): string[] {
  return Array.from({ length: 1000 }, (_, i) => {
    const numbers = Array.from({ length: 13 }, (_, d) =>
      (i + d) % 7 === 0 ? "" : String(((i * 31 + d * 17) % 200) - 3),
    );
    const ids = Array.from({ length: 26 }, (_, c) =>
      (i + c) % 11 === 0 ? "" : hex(Math.imul((i * (c + 1)) % (5 + c * 9), 2654435761)),
    );
    return [i % 4 === 0 ? 1 : 0, ...numbers, ...ids].join("\t");
  });
}

/** i / 8192 for each row i, in pieces. */
async function* probabilities(count: number): AsyncGenerator<Float32Array> {
  for (let from = 0; from < count; from += 1700) {
    yield Float32Array.from({ length: Math.min(1700, count - from) }, (_, i) => (from + i) / 8192);
  }
}

/** The 32-bit mixer "lowbias32", as its author gives it. */
function lowbias32(value: number): number {
  let x = value >>> 0;
  x ^= x >>> 16;
  x = Math.imul(x, 0x7feb352d) >>> 0;
  x ^= x >>> 15;
  x = Math.imul(x, 0x846ca68b) >>> 0;
  return (x ^ (x >>> 16)) >>> 0;
}

describe("labels", () => {
  test("suggests the nearest name for an absent label or time column", async () => {
    await attempt("SELECT 1 AS is_clicked, 2 AS other", { label: "is_click" }).toMatchObject({
      code: "DATA_LABEL_ABSENT",
      fix: expect.stringContaining('"is_clicked"'),
    });
    await attempt("SELECT i % 2 AS y, i AS event_time FROM range(9) t(i)", {
      label: "y",
      time: "eventtime",
    }).toMatchObject({ code: "DATA_TIME_ABSENT", fix: expect.stringContaining('"event_time"') });
  });

  test("names the first offending value and row, missing labels and columns included", async () => {
    await attempt("SELECT CASE i WHEN 5 THEN 3 ELSE i % 2 END AS y, i AS v FROM range(9) t(i)").toMatchObject(
      {
        code: "DATA_LABEL_VALUE",
        message: expect.stringMatching(/row 6, got "3"$/),
        fix: expect.stringContaining(`--sql 'SELECT * REPLACE (("y" = 1)::INT AS "y") FROM source'`),
      },
    );
    await attempt(
      "SELECT CASE i WHEN 2 THEN NULL ELSE i % 2 END AS y, i AS v FROM range(9) t(i)",
    ).toMatchObject({
      code: "DATA_LABEL_VALUE",
      message: expect.stringMatching(/row 3, got missing$/),
      fix: expect.stringContaining(`--sql 'SELECT * FROM source WHERE "y" IS NOT NULL'`),
    });
    await attempt("SELECT NULL::INTEGER AS y, i AS v FROM range(9) t(i)").toMatchObject({
      code: "DATA_COLUMN_NULL",
    });
  });

  test("refuses one class, over all or in a part", async () => {
    await attempt("SELECT 1 AS y, i AS v FROM range(9) t(i)").toMatchObject({ code: "DATA_LABEL_ONE_CLASS" });
    await attempt("SELECT (i >= 50)::INTEGER AS y, i AS v FROM range(100) t(i)").toMatchObject({
      code: "DATA_SPLIT_ONE_CLASS",
      message: expect.stringContaining("validation"),
    });
  });

  test.each([3, 4, 7])("keeps a label of %i rows in every part of a random split", async (count) => {
    const query = `SELECT CASE WHEN i % 250 = 5 AND i < ${250 * count} THEN 'yes' ELSE 'no' END AS y, i AS v FROM range(2000) t(i)`;
    for (const seed of [0, 1, 2, 3]) {
      const prepared = await prepare(query, { label: "y", dense: ["v"], split: { kind: "random", seed } });
      const parts = [prepared.train, prepared.validation, prepared.test];
      const labels = parts.map((part) => part.labelCounts);
      expect(Math.min(...labels.flat()), `seed ${seed}`).toBeGreaterThan(0);
      const sum = (values: number[]) => values.reduce((a, b) => a + b);
      expect([sum(labels.map(([zeros]) => zeros)), sum(labels.map(([, ones]) => ones))]).toEqual([
        2000 - count,
        count,
      ]);
      expect(Math.abs(prepared.train.rows - 1400)).toBeLessThan(3);
    }
  });

  test.each([1, 2])("says what helps where a label has %i rows", async (count) => {
    const query = `SELECT (i < ${count})::INTEGER AS y, i AS v FROM range(2000) t(i)`;
    for (const kind of ["random", "temporal"] as const) {
      await expect(prepare(query, { label: "y", split: { kind } })).rejects.toMatchObject({
        code: "DATA_SPLIT_ONE_CLASS",
        message: expect.stringContaining(`got ${count} of label 1`) as string,
        fix: expect.not.stringContaining("--split") as string,
      });
    }
  });

  test("reads booleans and words, with a notice", async () => {
    for (const label of ["i % 2 = 1", "CASE i % 2 WHEN 1 THEN ' Yes' ELSE 'no' END", "(i % 2)::DOUBLE"]) {
      const prepared = await prepare(`SELECT ${label} AS y, i AS v FROM range(100) t(i)`, { label: "y" });
      expect((await rowsOf(prepared.train)).map((row) => row.label)).toEqual(
        Array.from({ length: 70 }, (_, i) => i % 2),
      );
      expect(prepared.notices.some((notice) => notice.includes('"y"'))).toBe(!label.includes("DOUBLE"));
    }
  });
});

describe("roles", () => {
  test("follow types, names and distinct values, and the user's word above all", async () => {
    await using source = await open(
      "SELECT i % 2 AS y, i / 3.0 AS price, i AS age, i AS item_id, i AS userId, i AS zipcode, i % 24 AS hour, 's' || i AS site, " +
        "i % 2 = 0 AS mobile, [i] AS tags, DATE '2020-01-01' + i::INTEGER AS day, {a: i} AS nested, NULL::DOUBLE AS nothing, " +
        "i AS C14, i AS I3, i * 7 AS told FROM range(1000) t(i)",
    );
    const { columns, notices } = await inferSchema(source, {
      label: "y",
      categorical: ["told"],
      ignore: ["site"],
    });
    expect(Object.fromEntries(columns.map((column) => [column.name, column.role]))).toEqual({
      y: "label",
      price: "dense",
      age: "dense",
      item_id: "categorical",
      userId: "categorical",
      zipcode: "dense",
      hour: "categorical",
      site: "ignored",
      mobile: "categorical",
      tags: "categorical",
      day: "ignored",
      nested: "ignored",
      nothing: "ignored",
      C14: "categorical",
      I3: "dense",
      told: "categorical",
    });
    expect(columns.find((column) => column.name === "tags")!.multiHot).toBe(true);
    for (const name of ["day", "nested", "nothing"]) expect(notices.join()).toContain(`"${name}"`);
    expect(notices.join()).not.toContain('"site"');
  });

  test("refuse unknown, twice named and unfit columns", async () => {
    await using source = await open("SELECT i % 2 AS y, i AS price, 'x' AS word FROM range(100) t(i)");
    const attempt = (options: object) => expect(inferSchema(source, { label: "y", ...options })).rejects;
    await attempt({ dense: ["prise"] }).toMatchObject({
      code: "DATA_COLUMN_UNKNOWN",
      fix: expect.stringContaining('"price"'),
    });
    await attempt({ dense: ["price"], ignore: ["price"] }).toMatchObject({ code: "DATA_COLUMN_ROLES" });
    await attempt({ dense: ["word"] }).toMatchObject({
      code: "DATA_NOT_NUMERIC",
      message: expect.stringMatching(/"x"$/),
    });
    await attempt({ ignore: ["price", "word"] }).toMatchObject({ code: "DATA_NO_FEATURES" });
  });
});

describe("splits", () => {
  const fractions = [70, 10, 20] as const;

  test("without a time column follow the order of the rows", async () => {
    const prepared = await prepare("SELECT i % 2 AS y, i AS item_id FROM range(1000) t(i)", { label: "y" });
    expect([prepared.train.rows, prepared.validation.rows, prepared.test.rows]).toEqual([700, 100, 200]);
    const ids = (await rowsOf(prepared.train)).map((row) => row.bags[0]![0]);
    expect(ids).toEqual(Array.from({ length: 700 }, (_, i) => i + 1));
    expect((await rowsOf(prepared.test)).every((row, i) => row.bags[0]![0] === 0 && row.position === i)).toBe(
      true,
    );
  });

  test("by time cut exactly, ties by row, missing times first, times as text too", async () => {
    // Times fall as rows rise, four rows a day.
    for (const time of [
      "DATE '2024-01-01' + ((999 - i) // 4)::INTEGER",
      "strftime(DATE '2024-01-01' + ((999 - i) // 4)::INTEGER, '%Y-%m-%d')",
      "((999 - i) // 4) / 8.0",
    ]) {
      const prepared = await prepare(
        `SELECT i % 2 AS y, i AS v, CASE WHEN i = 0 THEN NULL ELSE ${time} END AS t FROM range(1000) t(i)`,
        { label: "y", time: "t", dense: ["v"], transforms: { v: "log1p" } },
      );
      const values = (await rowsOf(prepared.train)).map((row) => Math.round(Math.expm1(row.dense[0]!)));
      // 700 earliest: the missing one, the 696 of the 174 first days, and of the next day's four the three first rows.
      expect(values).toEqual([0, 300, 301, 302, ...Array.from({ length: 696 }, (_, i) => 304 + i)]);
      expect(prepared.notices.join()).toContain("lack a time");
    }
  });

  test("by time as text follow zones, nanoseconds and whole numbers of any length", async () => {
    for (const time of [
      // Zones turn the order of the letters around.
      "'2024-01-01T10:00:00' || CASE WHEN i < 50 THEN '-05:00' ELSE '+05:00' END",
      "'2024-01-01 10:00:00.00000000' || CASE WHEN i < 50 THEN '2' ELSE '1' END",
      "CASE WHEN i < 50 THEN '123456789012345678901' ELSE '123456789012345678900' END",
      "CASE WHEN i < 50 THEN '10' ELSE '9.5' END",
    ]) {
      const prepared = await prepare(`SELECT i % 2 AS y, i AS item_id, ${time} AS t FROM range(100) t(i)`, {
        label: "y",
        time: "t",
        split: { fractions: [50, 25, 25] },
      });
      const seen = await rowsOf(prepared.train);
      expect(seen.map((row) => row.label)).toEqual(Array.from({ length: 50 }, (_, i) => i % 2));
      expect(prepared.encoder.schema.categorical[0]!.cardinality).toBe(51);
      const ids = (await rowsOf(prepared.test)).map((row) => row.bags[0]![0]);
      expect(ids).toEqual(Array.from({ length: 25 }, () => 0));
      await using source = await open("SELECT 60 AS item_id UNION ALL SELECT 10");
      const known = await rowsOf(await prepared.encoder.encode(source, join(root, "known")));
      expect(known.map((row) => row.bags[0]![0]! > 0)).toEqual([true, false]);
    }
  });

  test("refuse a time that cannot be ordered, and parts without rows", async () => {
    const sql = "SELECT i % 2 AS y, i AS v, 'May ' || i AS t FROM range(100) t(i)";
    await expect(prepare(sql, { label: "y", time: "t" })).rejects.toMatchObject({
      code: "DATA_TIME_TYPE",
      message: expect.stringContaining("May 0"),
    });
    await expect(
      prepare("SELECT i % 2 AS y, i AS v FROM range(3) t(i)", { label: "y" }),
    ).rejects.toMatchObject({
      code: "DATA_SPLIT_EMPTY",
    });
    await expect(prepare(sql, { label: "y", split: { fractions: [70, 0, 30] } })).rejects.toMatchObject({
      code: "DATA_FRACTIONS",
    });
  });

  test("at random are exact, disjoint, complete, spread, and a pure function of the seed", async () => {
    const sql = "SELECT (i % 3 = 0)::INTEGER AS y, i AS v FROM range(3000) t(i)";
    const valuesOf = async (seed: number): Promise<number[][]> => {
      const prepared = await prepare(sql, {
        label: "y",
        dense: ["v"],
        transforms: { v: "log1p" },
        split: { kind: "random", fractions, seed },
      });
      const parts = [];
      for (const part of [prepared.train, prepared.validation, prepared.test]) {
        parts.push((await rowsOf(part)).map((row) => Math.round(Math.expm1(row.dense[0]!))));
      }
      return parts;
    };
    const first = await valuesOf(7);
    expect(first.map((part) => part.length)).toEqual([2100, 300, 600]);
    expect(first.flat().toSorted((a, b) => a - b)).toEqual(Array.from({ length: 3000 }, (_, i) => i));
    for (const part of first) {
      expect(part).toEqual(part.toSorted((a, b) => a - b));
      const mean = part.reduce((a, b) => a + b, 0) / part.length;
      expect(Math.abs(mean - 1500)).toBeLessThan(200);
    }
    expect(await valuesOf(7)).toEqual(first);
    expect(await valuesOf(8)).not.toEqual(first);
    // The same rows on every machine and with every version of DuckDB: by the rule, in another language.
    const keys = Array.from({ length: 3000 }, (_, row) => {
      return { row, key: lowbias32(lowbias32(lowbias32(row ^ 7)) ^ 7) };
    });
    const order = keys.toSorted((a, b) => a.key - b.key || a.row - b.row).map(({ row }) => row);
    expect(first[1]).toEqual(order.slice(2100, 2400).toSorted((a, b) => a - b));
  });
});

describe("vocabularies and transforms", () => {
  test("come from the training part only: falling count, ties by value, min-count, unknown and missing 0", async () => {
    const values = ["b", "a", "c", "a", null, "b", "d", "new", "a", null];
    const sql = `SELECT i % 2 AS y, v AS word FROM (VALUES ${values
      .map((value, i) => `(${i}, ${value === null ? "NULL" : `'${value}'`})`)
      .join(", ")}) t(i, v)`;
    const split = { fractions: [6, 2, 2] as const };
    const ids = async (minCount: number): Promise<(number | undefined)[]> => {
      const prepared = await prepare(sql, { label: "y", split, minCount });
      const parts = [prepared.train, prepared.validation, prepared.test];
      return (await Promise.all(parts.map(rowsOf))).flat().map((row) => row.bags[0]![0]);
    };
    expect(await ids(1)).toEqual([2, 1, 3, 1, 0, 2, 0, 0, 1, 0]);
    expect(await ids(2)).toEqual([2, 1, 0, 1, 0, 2, 0, 0, 1, 0]);
  });

  test("hash into stable buckets, missing 0", async () => {
    const prepared = await prepare(
      "SELECT i % 2 AS y, CASE WHEN i % 10 = 9 THEN NULL ELSE 'v' || (i % 10) END AS word FROM range(100) t(i)",
      { label: "y", hashBuckets: { word: 11 } },
    );
    expect(prepared.schema.categorical[0]).toEqual({
      name: "word",
      encoding: "hash",
      cardinality: 11,
      multiHot: false,
    });
    const ids = (await rowsOf(prepared.train)).slice(0, 10).map((row) => row.bags[0]![0]!);
    expect(ids[9]).toBe(0);
    expect(ids.slice(0, 9).every((id) => id >= 1 && id < 11)).toBe(true);
    expect(ids.slice(0, 9)).toEqual(
      ids.slice(0, 9).map((_, i) => {
        const digest = createHash("md5").update(`v${i}`).digest();
        return 1 + Number(digest.readBigUInt64LE(8) % 10n);
      }),
    );
  });

  test("lists are bags in their order, empty lists empty bags, missing lists and unknown elements 0", async () => {
    const prepared = await prepare(
      "SELECT i % 2 AS y, i AS item_id, CASE i % 5 WHEN 0 THEN ['a', 'b', 'a'] WHEN 1 THEN [] WHEN 2 THEN NULL WHEN 3 THEN ['b', NULL] " +
        "ELSE CASE WHEN i >= 80 THEN ['new'] ELSE ['c'] END END AS tags FROM range(20000) t(i)",
      { label: "y", split: { fractions: [80, 10, 10] } },
    );
    expect(prepared.train.layout.multiHot).toBe(true);
    const train = await rowsOf(prepared.train);
    expect(train.length).toBe(16000);
    const byName = (row: Row, name: string) =>
      row.bags[prepared.schema.categorical.findIndex((field) => field.name === name)];
    const expected = [[1, 2, 1], [], [0], [2, 0]];
    for (const [i, row] of train.entries()) {
      expect(byName(row, "item_id")).toEqual([i + 1]);
      if (i % 5 < 4) expect(byName(row, "tags")).toEqual(expected[i % 5]);
    }
  });

  test("numbers: log1p of counts, standard scores else, missing, NaN and infinities 0 and reported", async () => {
    const prepared = await prepare(
      "SELECT i % 2 AS y, CASE i WHEN 3 THEN NULL WHEN 4 THEN 'nan'::DOUBLE WHEN 5 THEN 'inf'::DOUBLE " +
        "WHEN 6 THEN '-inf'::DOUBLE WHEN 7 THEN 1e300 ELSE i + 0.5 END AS score, " +
        "CASE i WHEN 0 THEN -5 WHEN 1 THEN 100000 ELSE 3 END AS clicks, 1.5::DOUBLE AS same FROM range(1000) t(i)",
      { label: "y", dense: ["clicks"] },
    );
    const train = await rowsOf(prepared.train);
    expect(prepared.schema.dense.map(({ name, transform }) => [name, transform])).toEqual([
      ["score", "standard"],
      ["clicks", "log1p"],
      ["same", "standard"],
    ]);
    for (const row of train) for (const value of row.dense) expect(Number.isFinite(value)).toBe(true);
    for (const i of [3, 4, 5, 6, 7]) expect(train[i]!.dense[0]).toBe(0);
    const mean = train.reduce((sum, row) => sum + row.dense[0]!, 0) / train.length;
    expect(Math.abs(mean)).toBeLessThan(1e-4);
    expect(train.slice(0, 3).map((row) => row.dense[1])).toEqual([
      0,
      Math.fround(Math.log(100001)),
      Math.fround(Math.log(4)),
    ]);
    expect(prepared.notices.join()).toMatch(/"score" holds 4 NaN or infinite/);
  });
});

describe("Criteo's format", () => {
  test("D4: dense = ln(max(x, 0) + 1), nothing but finite numbers, ids alike for both line ends and any memory to work in", async () => {
    const all = criteoLines();
    const variants: Row[][] = [];
    for (const [i, end] of ["\r\n", "\n"].entries()) {
      const path = join(root, `criteo${i}.txt`);
      await writeFile(path, all.join(end) + end);
      await using source = await openSource({
        paths: [path],
        format: "criteo",
        threads: 1 + 3 * i,
        tempDirectory: root,
      });
      expect(source.rows).toBe(1000);
      const prepared = await prepareDataset(source, {}, join(root, `criteo${i}`));
      expect(prepared.schema.dense.length).toBe(13);
      expect(prepared.schema.categorical.length).toBe(26);
      variants.push(await rowsOf(prepared.train));
    }
    expect(variants[1]).toEqual(variants[0]);
    const train = variants[0]!;
    const fields = all.slice(0, 700).map((line) => line.split("\t"));
    const counts = Array.from({ length: 26 }, (_, c) => {
      const count = new Map<string, number>();
      for (const row of fields) {
        const value = row[14 + c]!;
        if (value !== "") count.set(value, (count.get(value) ?? 0) + 1);
      }
      const order = [...count].toSorted(([a, n], [b, m]) => m - n || (a < b ? -1 : 1));
      return new Map(order.map(([value], id) => [value, id + 1]));
    });
    for (const [i, row] of train.entries()) {
      const line = fields[i]!;
      expect(row.label).toBe(Number(line[0]));
      expect(row.dense).toEqual(
        line.slice(1, 14).map((field) => Math.fround(Math.log(Math.max(Number(field), 0) + 1))),
      );
      expect(row.bags).toEqual(line.slice(14).map((value, c) => [counts[c]!.get(value) ?? 0]));
    }
  });
});

describe("order", () => {
  test("rows stay in place through joins of large vocabularies on many threads", async () => {
    const path = join(root, "large.parquet");
    const database = await Database.open(root, { threads: 4 });
    const ids = Array.from(
      { length: 7 },
      (_, c) => `'k' || ((i * ${7919 + c}) % ${20000 + c}) AS k${c}`,
    ).join(", ");
    await database.run(
      `COPY (SELECT (i % 5 = 0)::INTEGER AS y, i AS v, ${ids} FROM range(150000) t(i)) TO '${path}' (FORMAT parquet, ROW_GROUP_SIZE 20000)`,
      path,
    );
    database.close();
    await using source = await openSource({ paths: [path], threads: 4, tempDirectory: root });
    const prepared = await prepareDataset(
      source,
      { label: "y", dense: ["v"], transforms: { v: "log1p" }, minCount: 2 },
      join(root, "large"),
    );
    let row = 0;
    const idOf = new Map<number, number>();
    for await (const batch of prepared.train.batches({ batchSize: 5000 })) {
      for (let b = 0; b < batch.size; b++, row++) {
        if (batch.rows[b] !== row || batch.labels[b] !== (row % 5 === 0 ? 1 : 0))
          expect(row).toBe("out of place");
        if (batch.dense[b] !== Math.fround(Math.log(row + 1))) expect(row).toBe("wrong number");
        for (let c = 0; c < 7; c++) {
          const value = c * 100000 + ((row * (7919 + c)) % (20000 + c));
          const id = batch.lookups.ids[c * batch.size + b]!;
          const known = idOf.get(value) ?? id;
          if (known !== id) expect(row).toBe(`field ${c} has id ${id}, had ${known}`);
          idOf.set(value, id);
        }
      }
    }
    expect(row).toBe(105000);
  });
});

describe("reuse, new sources and predictions", () => {
  const sql = "SELECT i % 2 AS y, 'w' || (i % 7) AS word, i AS v FROM range(1000) t(i)";

  test("a complete preparation is reused, another option or a crash rebuilds it", async () => {
    const directory = join(root, "reused");
    const attempt = async (options: PrepareOptions): Promise<PreparedDataset> => {
      await using source = await open(sql);
      return await prepareDataset(source, options, directory);
    };
    const first = await attempt({ label: "y" });
    expect(first.reused).toBe(false);
    const again = await attempt({ label: "y" });
    expect(again).toMatchObject({ reused: true, fingerprint: first.fingerprint, schema: first.schema });
    expect((await attempt({ label: "y", minCount: 2 })).reused).toBe(false);
    await rm(join(directory, "test", "layout.json"));
    expect((await attempt({ label: "y", minCount: 2 })).reused).toBe(false);
    expect((await attempt({ label: "y", minCount: 2 })).reused).toBe(true);
    await rm(join(directory, "prepared.json"));
    expect((await attempt({ label: "y", minCount: 2 })).reused).toBe(false);
  });

  test("an encoder that was saved and loaded encodes new rows alike, unknown ones as 0, labels on demand", async () => {
    const prepared = await prepare(sql, { label: "y" });
    await prepared.encoder.save(join(root, "saved"));
    const encoder = await Encoder.load(join(root, "saved"));
    expect(encoder.schema).toEqual(prepared.schema);
    await using same = await open(sql);
    const set = await encoder.encode(same, join(root, "encoded"), { labels: "required" });
    expect((await rowsOf(set)).slice(0, 700)).toEqual(await rowsOf(prepared.train));
    await using unlabelled = await open("SELECT 5::INTEGER AS v, 'unseen' AS word UNION ALL SELECT 6, 'w0'");
    const fresh = await rowsOf(await encoder.encode(unlabelled, join(root, "fresh")));
    expect(fresh.map((row) => [row.label, row.bags[0]![0]! > 0])).toEqual([
      [0, false],
      [0, true],
    ]);
    await expect(
      encoder.encode(unlabelled, join(root, "fresh"), { labels: "required" }),
    ).rejects.toMatchObject({ code: "DATA_LABEL_ABSENT" });
    await using lacking = await open("SELECT 5 AS v, 'x' AS wort");
    await expect(encoder.encode(lacking, join(root, "fresh"))).rejects.toMatchObject({
      code: "DATA_COLUMN_UNKNOWN",
      fix: expect.stringContaining(`--sql 'SELECT * RENAME ("wort" AS "word") FROM source'`),
    });
  });

  test("text that looks like numbers stays what it was in training", async () => {
    const train = join(root, "codes.csv");
    await writeFile(
      train,
      `y,code\n${Array.from({ length: 100 }, (_, i) => `${i % 2},${i % 3 === 0 ? "x" : `00${i % 3}`}`).join("\n")}\n`,
    );
    await using source = await openSource({ paths: [train], tempDirectory: root });
    const { encoder } = await prepareDataset(source, { label: "y" }, join(root, "codes"));
    const fresh = join(root, "fresh.csv");
    await writeFile(fresh, "code\n001\n002\n1\n");
    await using source2 = await openSource({
      paths: [fresh],
      textColumns: encoder.textColumns,
      tempDirectory: root,
    });
    const ids = (await rowsOf(await encoder.encode(source2, join(root, "codes2")))).map(
      (row) => row.bags[0]![0]!,
    );
    expect(ids.map((id) => id > 0)).toEqual([true, true, false]);
  });

  test("predictions keep rows, columns and order in every format, whole or not at all", async () => {
    await using source = await open(
      `SELECT i AS "a b", 'x"' || i AS "q""", NULL::INTEGER AS n FROM range(5000) t(i)`,
    );
    const database = await Database.open(root, { threads: 1 });
    for (const ending of ["parquet", "csv", "csv.gz", "tsv", "ndjson"]) {
      const path = join(root, `out.${ending}`);
      expect(await writePredictions(source, probabilities(5000), path)).toBe(5000);
      const rows = await database.rows<Record<string, string | number>>(`SELECT * FROM '${path}'`, path);
      expect(Object.keys(rows[0]!)).toEqual(["a b", 'q"', "n", "probability"]);
      expect(rows.length).toBe(5000);
      expect(
        rows.findIndex(
          (row, i) =>
            row["a b"] !== i ||
            row['q"'] !== `x"${i}` ||
            Math.fround(Number(row["probability"])) !== i / 8192,
        ),
      ).toBe(-1);
    }
    database.close();
    const kept = join(root, "out.csv");
    const before = await readFile(kept, "utf8");
    await expect(writePredictions(source, probabilities(4999), kept)).rejects.toMatchObject({
      code: "DATA_PREDICTION_COUNT",
    });
    expect(await readFile(kept, "utf8")).toBe(before);
    await expect(writePredictions(source, probabilities(5000), join(root, "out.xls"))).rejects.toMatchObject({
      code: "DATA_OUTPUT_FORMAT",
    });
  });
});

describe("whole numbers that may be codes", () => {
  test("are said with the reason: by name, by date, by a label that they tell and do not order", async () => {
    const sql =
      "SELECT (hash(i) % 100 < CASE WHEN i * 7 % 50 % 2 = 0 THEN 80 ELSE 20 END)::INTEGER AS y, i * 7 % 50 AS shop, " +
      "(hash(i) % 100)::INTEGER + i % 7 AS score, hash(i + 5) % 4000 AS noise, i * 3 AS clientid, " +
      "CAST(strftime(DATE '2021-01-01' + (i % 400)::INTEGER, '%Y%m%d') AS INTEGER) AS stamp, i AS hour_no, " +
      "1700000000 + i AS seen, 9007199254740993 + i AS far, i % 53 AS told FROM range(5000) t(i)";
    await using source = await open(sql);
    const { columns, notices } = await inferSchema(source, { label: "y", dense: ["told"] });
    const reasons = Object.fromEntries(columns.map(({ name, role, reason }) => [name, `${role}: ${reason}`]));
    expect(reasons).toMatchObject({
      shop: expect.stringMatching(/^dense: .*though its values tell the label but do not order it/),
      score: "dense: integers of many distinct values",
      noise: "dense: integers of many distinct values",
      clientid: expect.stringContaining("though its name ends in id"),
      stamp: expect.stringContaining("though its values are dates (yyyymmdd)"),
      hour_no: expect.stringContaining("though its name is that of a part of a date"),
      seen: expect.stringContaining("though its values look like seconds since 1970"),
      far: "categorical: whole numbers beyond 2^53, which no float holds",
      told: "dense: as given",
    });
    expect(notices.filter((notice) => notice.includes("--categorical")).length).toBe(5);
    const forced = await inferSchema(source, { label: "y", dense: ["far"] });
    expect(forced.notices.join()).toContain(
      '"far" is dense as given, though it holds whole numbers beyond 2^53',
    );
  });
});

describe("vectors", () => {
  const vectors = (extra = "") =>
    `SELECT i % 2 AS y, CASE WHEN i = 3 THEN NULL ELSE [i::FLOAT, (100 - i)::FLOAT / 8, CASE WHEN i = 5 THEN 'nan'::FLOAT ELSE 0.5 END] END AS emb, [i % 3] AS tags${extra} FROM range(100) t(i)`;

  test("are an input for each element, in training and for new rows, integer lists bags as before", async () => {
    for (const type of ["FLOAT[]", "DOUBLE[]", "FLOAT[3]", "DECIMAL(9,3)[]"]) {
      const cast = type.startsWith("DEC") ? "list_transform(emb, lambda v: if(isnan(v), 0.5, v))" : "emb";
      const sql = `SELECT y, CAST(${cast} AS ${type}) AS emb, tags FROM (${vectors()})`;
      const prepared = await prepare(sql, { label: "y" });
      expect(prepared.schema.dense.map(({ name, transform }) => [name, transform])).toEqual(
        ["emb[0]", "emb[1]", "emb[2]"].map((name) => [name, "standard"]),
      );
      expect(prepared.schema.categorical.map(({ name, multiHot }) => [name, multiHot])).toEqual([
        ["tags", true],
      ]);
      const { mean, deviation } = prepared.schema.dense[0]!;
      const train = await rowsOf(prepared.train);
      expect(train[3]!.dense).toEqual([0, 0, 0]);
      expect(train[7]!.dense[0]).toBeCloseTo((7 - mean) / deviation, 5);
      expect(train[7]!.dense[1]).toBeCloseTo(-train[7]!.dense[0]!, 5);
      expect(prepared.columns.find(({ name }) => name === "emb")).toMatchObject({
        role: "dense",
        elements: 3,
        missing: 1,
      });
      if (!type.startsWith("DEC")) expect(prepared.notices.join()).toMatch(/"emb" holds 1 NaN/);
      await using again = await open(sql);
      expect(
        (
          await rowsOf(await prepared.encoder.encode(again, join(root, "vectors"), { labels: "required" }))
        ).slice(0, 70),
      ).toEqual(train);
      await using longer = await open(
        "SELECT [1.0::FLOAT, 2, 3] AS emb, [1] AS tags UNION ALL SELECT [1, 2], [1]",
      );
      await expect(prepared.encoder.encode(longer, join(root, "vectors"))).rejects.toMatchObject({
        code: "DATA_VECTOR_LENGTH",
        message: expect.stringMatching(/3 as in training.*row 2 differs, got 2$/),
        fix: expect.not.stringContaining("--ignore"),
      });
      await using scalar = await open("SELECT 1.5 AS emb, [1] AS tags");
      await expect(prepared.encoder.encode(scalar, join(root, "vectors"))).rejects.toMatchObject({
        code: "DATA_COLUMN_UNKNOWN",
      });
    }
  });

  test("of other lengths are refused by row, and are categories or numbers as the user says", async () => {
    const odd =
      "SELECT i % 2 AS y, CASE WHEN i = 41 THEN [1.5, 2] ELSE [1.5, 2, 3] END AS emb FROM range(100) t(i)";
    await attempt(odd).toMatchObject({
      code: "DATA_VECTOR_LENGTH",
      where: expect.stringMatching(/column "emb", row 42$/),
      message: expect.stringMatching(/got 2$/),
    });
    const prepared = await prepare(vectors(", [i, 7] AS counts"), {
      label: "y",
      categorical: ["emb"],
      dense: ["counts"],
    });
    expect(prepared.schema.dense.map(({ name }) => name)).toEqual(["counts[0]", "counts[1]"]);
    expect(prepared.schema.categorical.map(({ name }) => name)).toEqual(["emb", "tags"]);
  });

  test("and wide logs of many dense columns keep every value in its place", async () => {
    const columns = Array.from({ length: 300 }, (_, c) => `(i * ${c + 1} + 0.5) AS f${c}`).join(", ");
    for (const kind of ["random", "temporal"] as const) {
      const prepared = await prepare(
        `SELECT i % 2 AS y, 'k' || i % 3 AS word, ${columns} FROM range(500) t(i)`,
        {
          label: "y",
          split: { kind },
        },
      );
      expect(prepared.schema.dense.length).toBe(300);
      const [mean, deviation] = [prepared.schema.dense[0]!.mean, prepared.schema.dense[0]!.deviation];
      for (const row of await rowsOf(prepared.train)) {
        const i = Math.round(row.dense[0]! * deviation + mean - 0.5);
        expect(row.label).toBe(i % 2);
        for (const [c, { mean: m, deviation: d }] of prepared.schema.dense.entries()) {
          expect(Math.abs(row.dense[c]! * d + m - (i * (c + 1) + 0.5))).toBeLessThan(0.2);
        }
      }
    }
  });
});
