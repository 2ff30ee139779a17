/** @file Logs of many shapes train without a word about them: any table with a 0/1 column. */
import { writeFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openSource } from "../../src/recsys/index.ts";
import { type JsonLine, numbers, SMALL, Workspace } from "./cli.ts";

const ROWS = 400;

/** The rows that every file tells in its own way: clicks follow `x` and `letter`. */
const RECORDS = (() => {
  const next = numbers(5);
  return Array.from({ length: ROWS }, (_, i) => {
    const x = next();
    const letter = "abcdef"[Math.floor(next() * 6)]!;
    const label = next() < 0.1 + x * 0.5 + (letter < "c" ? 0.3 : 0) ? 1 : 0;
    return { i, x: Number(x.toFixed(4)), letter, label, next: Math.floor(next() * 1000) };
  });
})();
const plain = RECORDS.map((r) => `${r.x},${r.letter},${r.label}`);
const HEAD = "x,letter,label";

let work: Workspace;
beforeAll(async () => {
  work = await Workspace.create();
  const odd = RECORDS.map((r) =>
    [
      r.i % 7 === 0 ? "" : r.x,
      `"${r.letter}, ""quoted""\nand on"`,
      r.i % 5 === 0 ? "" : r.letter,
      `2024-01-${String(1 + Math.floor(r.i / 20)).padStart(2, "0")} 10:00:00`,
      r.next % 3 === 0,
      `${r.next % 4}é漢`,
      r.label === 1 ? "yes" : "no",
    ].join(","),
  );
  const odder = `größe,名前,"a ""quoted"", name",zeit,ok,emoji 🎉,bought\n${odd.join("\n")}\n`;
  const criteo = RECORDS.map((r) =>
    [
      r.label,
      ...Array.from({ length: 13 }, (_, k) => ((r.i + k) % 5 === 0 ? "" : Math.floor(r.x * 100) - 1)),
      ...Array.from({ length: 26 }, (_, k) =>
        (r.i + k) % 6 === 0 ? "" : (r.letter.charCodeAt(0) * 7919 + k).toString(16).padStart(8, "0"),
      ),
    ].join("\t"),
  );
  const lists = RECORDS.map((r) =>
    JSON.stringify({
      tags: r.i % 6 === 0 ? [] : [r.letter, `t${r.next % 3}`],
      ids: [r.next % 5],
      x: r.x,
      label: r.label,
    }),
  );
  const files: Record<string, string | Buffer> = {
    "odd.csv": odder,
    "numbers.csv": `x,y,label\n${RECORDS.map((r) => `${r.x},${r.next},${r.label}`).join("\n")}\n`,
    "words.csv": `letter,other,label\n${RECORDS.map((r) => `${r.letter},w${r.next % 9},${r.label}`).join("\n")}\n`,
    "lists.ndjson": `${lists.join("\n")}\n`,
    "packed.csv.gz": gzipSync(`${HEAD}\n${plain.join("\n")}\n`),
    "part-1.csv": `${HEAD}\n${plain.slice(0, 150).join("\n")}\n`,
    "part-2.csv": `${HEAD}\n${plain.slice(150).join("\n")}\n`,
    "day_0.txt": `${criteo.join("\n")}\n`,
    "tiny.csv": `${HEAD}\n${plain.slice(0, 200).join("\n")}\n`,
  };
  for (const [name, content] of Object.entries(files)) await writeFile(work.path(name), content);
});
afterAll(() => work?.remove());

interface Trained {
  done: JsonLine;
  /** What the user was told. */
  told: string;
}

let made = 0;
async function train(...args: string[]): Promise<Trained> {
  const { lines, done } = await work.json(["recsys", "train", ...SMALL, "--out", `run${made++}`, ...args]);
  expect(Number.isFinite(done["logLoss"])).toBe(true);
  expect(done["logLoss"]).toBeLessThan(3);
  return { done, told: JSON.stringify(lines.filter((line) => line.event === "notice")) };
}

const partsOf = (rows: number) => ({ train: rows * 0.7, validation: rows * 0.1, test: rows * 0.2 });

describe("columns", () => {
  it("may be quoted, missing, dates, booleans and unicode, under names of any script, with a yes/no label", async () => {
    const { done, told } = await train("odd.csv", "--label", "bought", "--time", "zeit");
    expect(done["rows"]).toEqual(partsOf(ROWS));
    expect(told).toContain("read as 0 and 1");
    await work.json(["recsys", "predict", String(done["run"]), "odd.csv", "--out", "odd.parquet"]);
    await using source = await openSource({ paths: [work.path("odd.parquet")], threads: 2 });
    expect(source.columns.map((column) => column.name)).toEqual([
      "größe",
      "名前",
      'a "quoted", name',
      "zeit",
      "ok",
      "emoji 🎉",
      "bought",
      "probability",
    ]);
    expect(source.rows).toBe(ROWS);
  });

  it.each(["baseline", "fae"])("may be numbers only, under %s", async (strategy) => {
    const { done } = await train("numbers.csv", "--label", "label", "--strategy", strategy);
    expect(done).toMatchObject({ tableBytes: 0, steps: 5 });
    await work.json(["recsys", "export", String(done["run"]), "--onnx", `numbers-${strategy}.onnx`]);
  });

  it.each(["baseline", "fae"])("may be words only, under %s", async (strategy) => {
    const { done } = await train("words.csv", "--label", "label", "--strategy", strategy);
    expect(done["tableBytes"]).toBeGreaterThan(0);
    await work.json(["recsys", "export", String(done["run"]), "--onnx", `words-${strategy}.onnx`]);
  });

  it("may be lists, in JSON and Parquet alike", async () => {
    const json = await train("lists.ndjson", "--label", "label");
    await using source = await openSource({ paths: [work.path("lists.ndjson")], threads: 2 });
    await source.database.run(
      `COPY (SELECT c0 AS tags, c1 AS ids, c2 AS x, c3 AS label FROM data ORDER BY row) TO '${work.path("lists.parquet")}'`,
      "lists.parquet",
    );
    const parquet = await train("lists.parquet", "--label", "label", "--strategy", "fae");
    expect(parquet.done["rows"]).toEqual(json.done["rows"]);
    const hot = parquet.done["hot"] as { inputShare: number };
    expect(hot.inputShare).toBeGreaterThan(0);
    await work.json(["recsys", "evaluate", String(json.done["run"]), "lists.parquet"]);
    await work.json(["recsys", "export", String(json.done["run"]), "--onnx", "lists.onnx"]);
  });
});

describe("sources", () => {
  it("may be packed, in parts, globs and queries, all to the same figures", async () => {
    const { done } = await train("packed.csv.gz", "--label", "label");
    const figures = { auc: done["auc"], logLoss: done["logLoss"], rows: partsOf(ROWS) };
    for (const args of [
      ["part-1.csv", "part-2.csv"],
      ["part-*.csv"],
      ["--sql", "SELECT * FROM 'packed.csv.gz'"],
      ["packed.csv.gz", "--sql", "SELECT * FROM source WHERE x >= 0"],
    ]) {
      const again = await train(...args, "--label", "label");
      expect(again.done, args.join(" ")).toMatchObject(figures);
    }
  });

  it("may be Criteo's text", async () => {
    const { done } = await train("day_0.txt", "--format", "criteo");
    expect(done["rows"]).toEqual(partsOf(ROWS));
    await work.json(["recsys", "evaluate", String(done["run"]), "day_0.txt"]);
  });
});

describe("splits and encodings", () => {
  it("may be at random, the same way for the same seed", async () => {
    const args = ["tiny.csv", "--label", "label", "--split", "random", "--fractions", "60,20,20"];
    const [a, b, c] = [await train(...args), await train(...args), await train(...args, "--seed", "2")];
    expect(a.done["rows"]).toEqual({ train: 120, validation: 40, test: 40 });
    expect(b.done["logLoss"]).toBe(a.done["logLoss"]);
    expect(c.done["logLoss"]).not.toBe(a.done["logLoss"]);
  });

  it("may hash values, known or not", async () => {
    const { done } = await train(
      "tiny.csv",
      "--label",
      "label",
      "--hash-buckets",
      "50",
      "--optimizer",
      "rwsadagrad",
    );
    // 50 rows of 8 floats, and one accumulator each.
    expect(done["tableBytes"]).toBe(50 * (8 + 1) * 4);
    await work.json(["recsys", "evaluate", String(done["run"]), "packed.csv.gz"]);
  });
});

describe("sizes", () => {
  it.each([
    ["--batch-size", "100000"],
    ["--batch-size", "1"],
    ["--model", "dlrm:dim=10,bottom=32,top=32"],
    ["--model", "dlrm:dim=1,bottom=32,top=32"],
  ])("%s %s works on 200 rows, to the same loss under both strategies", async (...size) => {
    const losses: number[] = [];
    for (const strategy of ["baseline", "fae"]) {
      const { done } = await train("tiny.csv", "--label", "label", "--strategy", strategy, ...size);
      expect(done["rows"]).toEqual(partsOf(200));
      losses.push(done["logLoss"] as number);
    }
    // All rows are hot, so that FAE differs only in where they lie.
    expect(losses[1]).toBeCloseTo(losses[0]!, 4);
  });
});

describe("optimizers", () => {
  it.each(["sgd", "adagrad", "rwsadagrad", "adam"])("%s learns", async (optimizer) => {
    const args = ["packed.csv.gz", "--label", "label", "--batch-size", "16", "--optimizer", optimizer];
    const { lines } = await work.json([
      "recsys",
      "train",
      ...SMALL,
      "--out",
      `run${made++}`,
      ...args,
      "--epochs",
      "5",
      "--patience",
      "5",
    ]);
    const losses = lines.filter((line) => line["part"] === "train").map((line) => Number(line["logLoss"]));
    const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;
    expect(mean(losses.slice(-18))).toBeLessThan(mean(losses.slice(0, 18)));
  });
});
