/** @file New rows under a trained encoder: values mean what they meant in training, or it is said; predictions keep the file's text. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type Encoder,
  openSource,
  prepareDataset,
  writePredictions,
} from "../../../../../src/recsys/index.ts";
import type { PrepareOptions, Source } from "../../../../../src/recsys/index.ts";

let root: string;
let made = 0;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "pareto-new-rows-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function csv(lines: readonly string[]): Promise<string> {
  const path = join(root, `${made++}.csv`);
  await writeFile(path, `${lines.join("\n")}\n`);
  return path;
}

/** An encoder for a log whose column `v` takes these values in turn, 60 rows. */
async function trained(
  values: readonly string[] | { sql: string },
  options: Partial<PrepareOptions> = {},
): Promise<Encoder> {
  const given =
    "sql" in values
      ? { paths: [], sql: values.sql }
      : {
          paths: [
            await csv([
              "y;v",
              ...Array.from({ length: 60 }, (_, i) => `${i % 2};${values[i % values.length]!}`),
            ]),
          ],
        };
  await using source = await openSource({ ...given, tempDirectory: root });
  return (await prepareDataset(source, { label: "y", ...options }, join(root, `prepared${made++}`))).encoder;
}

interface Scored {
  dense: number[];
  ids: number[];
  notices: string;
}

async function score(encoder: Encoder, source: Source): Promise<Scored> {
  const notices: string[] = [...source.notices];
  const set = await encoder.encode(source, join(root, `rows${made++}`), {
    onNotice: (message) => notices.push(message),
  });
  const found: Scored = { dense: [], ids: [], notices: "" };
  for await (const batch of set.batches({ batchSize: 100 })) {
    found.dense.push(...batch.dense);
    found.ids.push(...batch.lookups.ids);
  }
  return { ...found, notices: notices.join("\n") };
}

/** What becomes of new values, of a CSV file or of a query. */
async function scored(encoder: Encoder, values: readonly string[] | { sql: string }): Promise<Scored> {
  const { textColumns, numberForms } = encoder;
  const given =
    "sql" in values
      ? { paths: [], sql: values.sql }
      : { paths: [await csv(["x;v", ...values.map((v) => `0;${v}`)])] };
  await using source = await openSource({ ...given, textColumns, numberForms, tempDirectory: root });
  return await score(encoder, source);
}

describe("dense columns", () => {
  test("text is an error that names row, column and value", async () => {
    const encoder = await trained(["0.5", "1.5"]);
    await expect(scored(encoder, ["1.5", "abc", "2,5"])).rejects.toMatchObject({
      code: "DATA_NOT_NUMERIC",
      where: expect.stringMatching(/column "v", row 2$/),
      message: expect.stringMatching(/2 values of "v" are none, the first in row 2, got "abc"$/),
    });
    await expect(
      scored(encoder, { sql: "SELECT 'x' AS v UNION ALL SELECT '1_5' AS v" }),
    ).rejects.toMatchObject({ code: "DATA_NOT_NUMERIC" });
  });

  test("numbers written in several ways are read where each says one number only", async () => {
    const encoder = await trained(["0.5", "1.5"]);
    const plain = (await scored(encoder, ["7", "10", "5"])).dense;
    expect((await scored(encoder, ["007", "1e1", "+5"])).dense).toEqual(plain);
    expect((await scored(encoder, ["7,0", "10,0", "5"])).dense).toEqual(plain);
  });

  test("are read in the form of training, which a few rows alone would not show", async () => {
    const encoder = await trained(["0,125", "1,250"]);
    expect(encoder.numberForms).toMatchObject({ v: { decimal: "," } });
    const numbers = await trained(["0.125", "1.250"]);
    expect((await scored(encoder, ["1,234", "999"])).dense).toEqual(
      (await scored(numbers, ["1.234", "999"])).dense,
    );
  });

  test("infinite values are counted", async () => {
    const found = await scored(await trained(["0.5", "1.5"]), ["inf", "1.0"]);
    expect(found.notices).toMatch(/"v" holds 1 NaN or infinite/);
  });
});

describe("categories", () => {
  const categorical = { categorical: ["v"] };

  test("whole numbers match whole numbers of any type, and what does not is said", async () => {
    const encoder = await trained(["1", "2"], categorical);
    const ids = (await scored(encoder, ["1", "2"])).ids;
    for (const sql of [
      "SELECT i::DOUBLE AS v",
      "SELECT i::VARCHAR AS v",
      "SELECT i::UTINYINT AS v",
      "SELECT i::DECIMAL(9,0) AS v",
    ]) {
      const found = await scored(encoder, { sql: `${sql} FROM range(1, 3) t(i)` });
      expect([found.ids, found.notices]).toEqual([ids, ""]);
    }
    expect(await scored(encoder, ["1.0", "2.0"])).toMatchObject({ ids, notices: "" });
    const padded = await scored(encoder, ["01", "2", "3"]);
    expect(padded.ids.map((id) => id > 0)).toEqual([false, true, false]);
    expect(padded.notices).toMatch(
      /1 of 3 values of column "v".*only in the way they are written.*row 1: "01"\.$/,
    );
    const halves = await scored(encoder, ["1.5", "2.0"]);
    expect(halves.ids.map((id) => id > 0)).toEqual([false, true]);
    expect(halves.notices).toMatch(/whole numbers in training, fractional numbers here/);
  });

  test("leading zeros matter, and their loss is said", async () => {
    const encoder = await trained(["01", "02", "10"], categorical);
    expect((await scored(encoder, ["01", "10"])).ids.every((id) => id > 0)).toBe(true);
    for (const values of [["1", "10"], { sql: "SELECT unnest([1, 10]) AS v" }]) {
      const lost = await scored(encoder, values);
      expect(lost.ids.map((id) => id > 0)).toEqual([false, true]);
      expect(lost.notices).toMatch(/1 of 2 values of column "v".*differ only in the way.*row 1: "1"\.$/);
    }
  });

  test("fractions and booleans match across files, and a column of strangers is said", async () => {
    const real = await trained(
      { sql: "SELECT i % 2 AS y, (i % 3) / 2 AS v FROM range(60) t(i)" },
      categorical,
    );
    expect((await scored(real, ["0", "0.5", "1.0"])).ids.every((id) => id > 0)).toBe(true);
    const flags = await trained(["True", "False"]);
    expect(
      (await scored(flags, { sql: "SELECT true AS v UNION ALL SELECT false" })).ids.every((id) => id > 0),
    ).toBe(true);
    expect((await scored(flags, ["0", "1"])).ids.every((id) => id > 0)).toBe(true);
    const words = await trained(["red", "blue"]);
    expect((await scored(words, ["rouge", "bleu"])).notices).toMatch(/None of the 2 values of column "v"/);
    expect((await scored(words, ["red", "bleu"])).notices).toBe("");
    expect((await scored(words, ["red", "Blue"])).notices).toMatch(/row 2: "Blue"\.$/);
  });

  test("numbers of a text file are categories as they are written", async () => {
    const encoder = await trained(["1.50", "1.5", "2.25"], categorical);
    expect(encoder.schema.categorical[0]!.cardinality).toBe(4);
  });
});

test("predictions write the text of a CSV file as it stands, and typed columns where that is the same", async () => {
  const lines = [
    "id,amount,flag,n,word,when",
    '007,"1,5",True,7,"a ""b""",2024-01-31',
    "010,2,False,,NULL,2024-02-01",
    "1e1,inf,True,-3, x ,2024-02-02",
  ];
  const path = await csv(lines);
  await using source = await openSource({ paths: [path], tempDirectory: root });
  async function* half(): AsyncGenerator<Float32Array> {
    yield Float32Array.of(0.5, 0.5, 0.5);
  }
  const out = join(root, "out.csv");
  await writePredictions(source, half(), out);
  expect(await readFile(out, "utf8")).toBe(
    `${lines[0]},probability\n${lines
      .slice(1)
      .map((line) => `${line},0.5\n`)
      .join("")}`,
  );
  const json = join(root, "out.ndjson");
  await writePredictions(source, half(), json);
  expect(
    (await readFile(json, "utf8"))
      .split("\n")
      .slice(0, 2)
      .map((line) => JSON.parse(line)),
  ).toEqual([
    { id: "007", amount: "1,5", flag: "True", n: 7, word: 'a "b"', when: "2024-01-31", probability: 0.5 },
    { id: "010", amount: "2", flag: "False", n: null, word: "NULL", when: "2024-02-01", probability: 0.5 },
  ]);
});
