/** @file The commands one after another on one log: help, JSON lines, and figures that agree with each other. */
import { readdir, readFile } from "node:fs/promises";
import * as ort from "onnxruntime-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Encoder, openSource } from "../../src/recsys/index.ts";
import { type JsonLine, jsonLines, SMALL, Workspace } from "./cli.ts";

const ROWS = 3000;
const TRAIN = ["recsys", "train", "log.parquet", "--label", "label", "--time", "time", ...SMALL];

let work: Workspace;
let synth: JsonLine;
let baseline: { lines: JsonLine[]; done: JsonLine };
beforeAll(async () => {
  work = await Workspace.create();
  ({ done: synth } = await work.json([
    "recsys",
    "synth",
    "--rows",
    String(ROWS),
    "--seed",
    "3",
    "--out",
    "log.parquet",
  ]));
  baseline = await work.json([...TRAIN, "--epochs", "2", "--out", "baseline"]);
});
afterAll(() => work?.remove());

const part = (done: JsonLine) => done as unknown as Record<"auc" | "logLoss" | "accuracy", number>;

/** The options that the issue of each command promises. */
const DATA = ["--sql", "--format", "--on-bad-row"];
const COLUMNS = ["--label", "--dense", "--categorical", "--ignore", "--time", "--split", "--fractions"];
const MODEL = [
  "--model",
  "--strategy",
  "--hot",
  "--optimizer",
  "--batch-size",
  "--seed",
  "--threads",
  "--device",
];
const SCHEDULE = ["--lr", "--epochs", "--patience", "--decay"];
const COMMANDS: [string[], string[]][] = [
  [["demo"], ["--only", "--out"]],
  [["report"], ["--out"]],
  [
    ["recsys", "synth"],
    ["--rows", "--preset", "--out", "--seed"],
  ],
  [
    ["recsys", "profile"],
    [...DATA, ...COLUMNS, ...MODEL, "--cache"],
  ],
  [
    ["recsys", "train"],
    [
      ...DATA,
      ...COLUMNS,
      "--min-count",
      "--hash-buckets",
      ...MODEL,
      ...SCHEDULE,
      "--out",
      "--resume",
      "--cache",
    ],
  ],
  [
    ["recsys", "evaluate"],
    [...DATA, "--threads"],
  ],
  [
    ["recsys", "predict"],
    [...DATA, "--out", "--threads"],
  ],
  [["recsys", "export"], ["--onnx"]],
  [["doctor"], ["--device", "--threads"]],
];
const DOMAINS = {
  recsys: ["synth", "profile", "train", "evaluate", "predict", "export"],
  llm: ["generate", "estimate", "evaluate", "train"],
  protein: ["train", "classify", "export"],
};

describe("help", () => {
  it.each(COMMANDS)("of %j states each option with a meaning, on stdout", async (command, options) => {
    const { status, stdout, stderr } = await work.run([...command, "--help"]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    for (const option of [...options, "--json", "--quiet"])
      expect(stdout, option).toMatch(new RegExp(`^ +${option}\\b.*? {2,}\\S+`, "m"));
    expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(100);
  });

  it("of the program names every domain and command", async () => {
    const { status, stdout } = await work.run(["--help"]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/language models/i);
    for (const name of ["recsys", "llm", "protein", "doctor", "demo"])
      expect(stdout).toMatch(new RegExp(`^ +${name}\\b`, "m"));
  });

  it.each(Object.entries(DOMAINS))("of pareto %s names its verbs", async (domain, verbs) => {
    for (const args of [
      [domain, "--help"],
      ["help", domain],
    ]) {
      const { status, stdout } = await work.run(args);
      expect(status).toBe(0);
      for (const verb of verbs) expect(stdout).toMatch(new RegExp(`^ +${verb}\\b`, "m"));
    }
  });
});

describe("train", () => {
  it("ends its JSON lines with every promised figure", () => {
    const { done } = baseline;
    expect(done).toMatchObject({
      event: "done",
      run: "baseline",
      strategy: "baseline",
      finished: true,
      rows: { train: ROWS * 0.7, validation: ROWS * 0.1, test: ROWS * 0.2 },
      hot: null,
      sync: { count: 0, bytes: 0, seconds: 0 },
    });
    for (const name of ["auc", "accuracy"]) {
      expect(done[name]).toBeGreaterThan(0);
      expect(done[name]).toBeLessThan(1);
    }
    for (const name of ["logLoss", "samplesPerSecond", "trainSeconds"]) expect(done[name]).toBeGreaterThan(0);
    expect(done["peakRssBytes"]).toBeGreaterThan(50 * 2 ** 20);
    expect(part(done).auc).toBeLessThan((synth["bayes"] as { auc: number }).auc);
  });

  it("says the same figures in result.json, and the test part's in its events", async () => {
    const result = JSON.parse(await readFile(work.path("baseline", "result.json"), "utf8")) as JsonLine;
    const { auc, logLoss, accuracy } = part(baseline.done);
    expect(result).toMatchObject({ auc, logLoss, accuracy });
    const events = jsonLines(await readFile(work.path("baseline", "events.jsonl"), "utf8"));
    expect(events.findLast((event) => event.event === "metrics")).toMatchObject({
      part: "test",
      auc,
      logLoss,
    });
  });

  it("writes a report, which can be made again from the folder alone", async () => {
    const page = await readFile(work.path("baseline", "report.html"), "utf8");
    expect(page).toMatch(/^<!doctype html>.*id="logLoss-by-step".*id="skew".*id="time"/is);
    const { done } = await work.json(["report", "baseline", "--out", "again.html"]);
    expect(done).toEqual({ event: "done", report: "again.html", runs: ["baseline"] });
    expect(await readFile(work.path("again.html"), "utf8")).toBe(page);
  });

  it("trains under FAE, with hot and cold inputs, to figures near the baseline's", async () => {
    const { done } = await work.json([
      ...TRAIN,
      "--epochs",
      "2",
      "--strategy",
      "fae:budget=400KiB,sample=100%",
      "--out",
      "fae",
    ]);
    const hot = done["hot"] as Record<"rows" | "bytes" | "inputShare" | "accessShare", number>;
    expect(done).toMatchObject({ strategy: "fae", rows: baseline.done["rows"] });
    expect(hot.rows).toBeGreaterThan(0);
    expect(hot.bytes).toBeGreaterThan(0);
    expect(hot.bytes).toBeLessThanOrEqual(400 * 1024);
    expect(hot.inputShare).toBeGreaterThan(0);
    expect(hot.inputShare).toBeLessThan(1);
    expect(hot.accessShare).toBeGreaterThan(hot.inputShare);
    const sync = done["sync"] as Record<"count" | "bytes" | "seconds", number>;
    expect(sync.count).toBeGreaterThan(0);
    expect(sync.bytes).toBeGreaterThan(0);
    expect(sync.seconds).toBeGreaterThan(0);
    expect(Math.abs(part(done).logLoss - part(baseline.done).logLoss)).toBeLessThan(0.05);
  });
});

describe("without --json", () => {
  it("writes results to stdout, and nothing else when quiet", async () => {
    const { status, stdout, stderr } = await work.run([
      "recsys",
      "evaluate",
      "baseline",
      "log.parquet",
      "--quiet",
    ]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toMatch(/^AUC 0\.\d+, log loss 0\.\d+, .* on 3,000 rows\n$/);
  });
});

describe("profile", () => {
  it("tells columns, skew, hot share against budget, memory and speed-up before training", async () => {
    const { done } = await work.json(["recsys", "profile", ...TRAIN.slice(2)]);
    expect(done["rows"]).toEqual(baseline.done["rows"]);
    const columns = done["columns"] as { name: string; role: string; distinct: number; missing: number }[];
    // Integers of few values may be told as categories.
    const roles = Object.groupBy(columns, (column) => column.role);
    expect(roles["categorical"]!.length).toBeGreaterThanOrEqual(26);
    expect(roles["categorical"]!.length + roles["dense"]!.length).toBe(39);
    expect(columns.find((column) => column.name === "I1")!.missing).toBeGreaterThan(0);
    const text = JSON.stringify(done);
    for (const key of ["top1", "top10", "inputShare", "budgetBytes"]) expect(text).toContain(`"${key}"`);
    expect(text).not.toContain('"speedup":null');
  });
});

describe("evaluate and predict", () => {
  it("agree on the same rows, in Parquet and CSV, with order and columns kept", async () => {
    const { done } = await work.json(["recsys", "evaluate", "baseline", "log.parquet"]);
    expect(done["rows"]).toBe(ROWS);
    await work.json(["recsys", "predict", "baseline", "log.parquet", "--out", "p.parquet"]);
    await work.json(["recsys", "predict", "baseline", "log.parquet", "--out", "p.csv", "--threads", "1"]);
    const before = await rowsOf("log.parquet");
    const parquet = await rowsOf("p.parquet");
    expect(parquet.names).toEqual([...before.names, "probability"]);
    expect(parquet.rows.map((row) => JSON.stringify(row.slice(0, -1)))).toEqual(
      before.rows.map((row) => JSON.stringify(row)),
    );
    const probabilities = parquet.rows.map((row) => Number(row.at(-1)));
    let loss = 0;
    probabilities.forEach((p, i) => {
      expect(p).toBeGreaterThan(0);
      expect(p).toBeLessThan(1);
      loss -= Math.log(Number(parquet.rows[i]![0]) === 1 ? p : 1 - p) / ROWS;
    });
    expect(loss).toBeCloseTo(part(done).logLoss, 5);
    const lines = (await readFile(work.path("p.csv"), "utf8")).trimEnd().split("\n");
    expect(lines).toHaveLength(ROWS + 1);
    expect(lines[0]!.split(",")).toEqual(parquet.names);
    lines.slice(1).forEach((line, i) => {
      expect(Number(line.slice(line.lastIndexOf(",") + 1))).toBeCloseTo(probabilities[i]!, 6);
    });
  });

  it("gives the test part's figures again on the test part alone", async () => {
    // The log is in order of time, so that the test part is its last fifth.
    const test = `SELECT * FROM source ORDER BY time OFFSET ${ROWS * 0.8}`;
    const { done } = await work.json(["recsys", "evaluate", "baseline", "log.parquet", "--sql", test]);
    expect(done["rows"]).toBe(ROWS * 0.2);
    expect(part(done).logLoss).toBeCloseTo(part(baseline.done).logLoss, 5);
    expect(part(done).auc).toBeCloseTo(part(baseline.done).auc, 5);
  });

  it("needs no label to predict", async () => {
    const sql = "SELECT * EXCLUDE (label, time) FROM source LIMIT 7";
    const { done } = await work.json([
      "recsys",
      "predict",
      "baseline",
      "log.parquet",
      "--sql",
      sql,
      "--out",
      "seven.ndjson",
    ]);
    expect(done["rows"]).toBe(7);
    const all = await rowsOf("p.parquet");
    jsonLines(await readFile(work.path("seven.ndjson"), "utf8")).forEach((row, i) => {
      expect(row["probability"]).toBeCloseTo(Number(all.rows[i]!.at(-1)), 5);
    });
  });
});

describe("export", () => {
  it("writes a model that onnxruntime runs to the probabilities of predict", async () => {
    await work.json(["recsys", "export", "baseline", "--onnx", "model.onnx"]);
    const encoder = await Encoder.load(work.path("baseline", "encoder"));
    await using source = await openSource({
      paths: [work.path("log.parquet")],
      textColumns: encoder.textColumns,
      threads: 2,
    });
    const set = await encoder.encode(source, work.path("encoded"), { labels: "ignored" });
    const session = await ort.InferenceSession.create(work.path("model.onnx"), { intraOpNumThreads: 1 });
    const expected = (await rowsOf("p.parquet")).rows.map((row) => Number(row.at(-1)));
    let seen = 0;
    for await (const { size, rows, dense, lookups } of set.batches({ batchSize: 700 })) {
      const { ids, offsets, tables } = lookups;
      expect(offsets).toBeNull();
      const matrix = new Int32Array(size * tables);
      // Lookups are table by table; the model wants row by row.
      for (let t = 0; t < tables; t++)
        for (let b = 0; b < size; b++) matrix[b * tables + t] = ids[t * size + b]!;
      const { probability } = await session.run({
        dense: new ort.Tensor("float32", dense.slice(), [size, dense.length / size]),
        ids: new ort.Tensor("int32", matrix, [size, tables]),
      });
      for (let b = 0; b < size; b++) {
        const got = (probability!.data as Float32Array)[b]!;
        expect(Math.abs(got - expected[rows[b]!]!)).toBeLessThan(1e-5);
      }
      seen += size;
    }
    expect(seen).toBe(ROWS);
    await session.release();
  });
});

describe("report", () => {
  it("compares runs of one command in one page", async () => {
    await work.json(["report", "baseline", "fae", "--out", "both.html"]);
    const page = await readFile(work.path("both.html"), "utf8");
    expect(page).toContain("<h1>dlrm: baseline, fae</h1>");
    expect(page).toContain('id="rate"');
  });

  it.each([
    [["nowhere"], "RUN_MISSING"],
    [["."], "RUN_INVALID"],
  ])("refuses %j", async (folders, code) => {
    const { status, stderr } = await work.run(["report", ...folders]);
    expect([status, stderr]).toEqual([2, expect.stringContaining(code)]);
  });
});

describe("doctor", () => {
  it("checks a product on each target", async () => {
    const { done } = await work.json(["doctor", "--threads", "2"]);
    expect(done["ok"]).toBe(true);
    const targets = done["targets"] as { target: string; checks: { name: string; ok: boolean }[] }[];
    expect(targets.map(({ target }) => target)).toEqual(["reference", "cpu"]);
    expect(targets.every(({ checks }) => checks.length > 3 && checks.every(({ ok }) => ok))).toBe(true);
  });
});

describe("all of these", () => {
  it("leave nothing in the folder for temporary files", async () => {
    expect(await readdir(work.path("tmp"))).toEqual([]);
  });
});

/** A file's columns and rows, in order. */
async function rowsOf(name: string): Promise<{ names: string[]; rows: unknown[][] }> {
  await using source = await openSource({ paths: [work.path(name)], threads: 2 });
  const names = source.columns.map((column) => column.name);
  const list = source.columns.map(({ sql }) => `CAST(${sql} AS VARCHAR) AS ${sql}`).join(", ");
  const rows = await source.database.rows<Record<string, string | null>>(
    `SELECT ${list} FROM data ORDER BY row`,
    name,
  );
  return { names, rows: rows.map((row) => source.columns.map(({ sql }) => row[sql])) };
}
