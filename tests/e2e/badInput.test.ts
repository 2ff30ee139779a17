/** @file Bad input ends with status 2 and an error of code, place, value and remedy, and loses nothing. */
import { spawnSync } from "node:child_process";
import { cp, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type JsonLine, jsonLines, numbers, SMALL, Workspace } from "./cli.ts";

let work: Workspace;
beforeAll(async () => {
  work = await Workspace.create();
  const next = numbers(7);
  const rows = Array.from({ length: 240 }, () => {
    const x = next();
    return { x: x.toFixed(4), letter: "abcdef"[Math.floor(next() * 6)]!, label: next() < x ? 1 : 0 };
  });
  const csv = (head: string, line: (row: (typeof rows)[number], i: number) => string): string =>
    `${head}\n${rows.map(line).join("\n")}\n`;
  const files: Record<string, string> = {
    "good.csv": csv("x,letter,label", (r) => `${r.x},${r.letter},${r.label}`),
    "empty.csv": "",
    "header.csv": "x,letter,label\n",
    "fields.csv": csv(
      "x,letter,label",
      (r, i) => `${r.x},${r.letter},${r.label}${i % 100 === 50 ? ",9" : ""}`,
    ),
    "two.csv": csv("x,label", (r, i) => `${r.x},${i === 5 ? 2 : r.label}`),
    "one.csv": csv("x,label", (r) => `${r.x},1`),
    "null.csv": csv("x,letter,gone,label", (r) => `${r.x},${r.letter},,${r.label}`),
    "nan.csv": csv("x,letter,label", (r, i) => {
      const x = ["NaN", "inf", "-Infinity"][i % 40] ?? r.x;
      return `${x},${r.letter},${r.label}`;
    }),
    "twice.csv": csv("x,letter,x,label", (r) => `${r.x},${r.letter},1,${r.label}`),
    "label.csv": csv("label", (r) => String(r.label)),
  };
  for (const [name, content] of Object.entries(files)) await writeFile(work.path(name), content);
  await work.json([
    "recsys",
    "train",
    "good.csv",
    "--label",
    "label",
    ...SMALL,
    "--epochs",
    "2",
    "--out",
    "kept",
  ]);
  await work.json(["recsys", "predict", "kept", "good.csv", "--out", "kept.parquet"]);
  const whole = await readFile(work.path("kept.parquet"));
  await writeFile(work.path("cut.parquet"), whole.subarray(0, whole.length - 200));
});
afterAll(() => work?.remove());

/** Runs to a failure; the error is told in text and as the last JSON line. */
async function failure(args: readonly string[], wrapper: readonly string[] = []): Promise<JsonLine> {
  const { status, stdout, stderr } = await work.run([...args, "--json"], wrapper);
  expect(status, stderr).toBe(2);
  const error = jsonLines(stdout).at(-1)!;
  expect(error.event).toBe("error");
  for (const name of ["code", "where", "message", "fix"]) {
    expect(error[name], name).toMatch(/\S/);
    if (error["code"] !== "CLI_USAGE") expect(stderr).toContain(String(error[name]));
  }
  expect(stderr).not.toMatch(/^ +at .*:\d+:\d+/m);
  return error;
}

const train = (...args: string[]) => ["recsys", "train", ...SMALL, "--out", "never", ...args];
const labelled = (...args: string[]) => train(...args, "--label", "label");

/** Of each case: its name, the command, and what the error says. */
const CASES: [string, string[], Record<string, string | RegExp>][] = [
  ["no such file", labelled("nope.csv"), { code: "FILE_MISSING", message: /nope\.csv/ }],
  ["a pattern without files", labelled("nope-*.csv"), { code: "FILE_MISSING", message: /nope-\*/ }],
  ["an empty file", labelled("empty.csv"), { code: "DATA_FILE_EMPTY", where: "empty.csv" }],
  ["a header without rows", labelled("header.csv"), { code: "DATA_EMPTY", where: "header.csv" }],
  ["truncated Parquet", labelled("cut.parquet"), { code: "DATA_PARQUET_DAMAGED", where: "cut.parquet" }],
  [
    "a row with too many fields",
    labelled("fields.csv"),
    {
      code: "DATA_CSV_ROW",
      where: "fields.csv:52",
      message: /^row 51 .*2 such rows/,
      fix: /--on-bad-row skip/,
    },
  ],
  [
    "a label that is neither 0 nor 1",
    labelled("two.csv"),
    { code: "DATA_LABEL_VALUE", where: /two\.csv.*row 6/, message: /"2"/ },
  ],
  ["one class", labelled("one.csv"), { code: "DATA_LABEL_ONE_CLASS", message: /0 zeros and 240 ones/ }],
  ["no --label", train("good.csv"), { code: "CLI_LABEL" }],
  [
    "an absent label",
    train("good.csv", "--label", "lable"),
    { code: "DATA_LABEL_ABSENT", message: /"lable"/, fix: /"label"/ },
  ],
  ["an absent time", labelled("good.csv", "--time", "leter"), { code: "DATA_TIME_ABSENT", fix: /"letter"/ }],
  ["an absent input", labelled("good.csv", "--dense", "xx"), { code: "DATA_COLUMN_UNKNOWN", fix: /"x"/ }],
  ["a label that is all null", train("null.csv", "--label", "gone"), { code: "DATA_COLUMN_NULL" }],
  ["duplicate columns", labelled("twice.csv"), { code: "DATA_COLUMN_DUPLICATE", message: /"x"/ }],
  ["nothing but the label", labelled("label.csv"), { code: "DATA_NO_FEATURES" }],
  ["a query that is none", labelled("good.csv", "--sql", "SELEKT 1"), { code: "DATA_SQL" }],
  ["an unknown option", labelled("good.csv", "--frob"), { code: "CLI_USAGE", message: /--frob/ }],
  ["an unknown command", ["frob"], { code: "CLI_USAGE", message: /frob/ }],
  ["a word for a number", labelled("good.csv", "--epochs", "x"), { code: "CLI_OPTION", message: /"x"/ }],
  [
    "a word for a model's number",
    labelled("good.csv", "--model", "dlrm:dim=x"),
    { code: "MODEL_OPTION", where: "--model dlrm:dim", message: /"x"$/, fix: /16 by default/ },
  ],
  [
    "a model that does not exist",
    labelled("good.csv", "--model", "dlmr"),
    { code: "MODEL_UNKNOWN", message: /"dlmr"$/, fix: /dlrm/ },
  ],
  [
    "a strategy's option that does not exist",
    labelled("good.csv", "--strategy", "fae:budgt=1MiB"),
    { code: "POLICY_OPTION", message: /"budgt"$/, fix: /budget/ },
  ],
  [
    "a shuffle rate that is none",
    labelled("good.csv", "--strategy", "fae:shuffle=fixed:rate=0"),
    { code: "POLICY_OPTION", where: "--strategy fae:shuffle fixed:rate" },
  ],
  ["hot rows by no known policy", labelled("good.csv", "--hot", "hottest"), { code: "POLICY_UNKNOWN" }],
  ["an unknown device", labelled("good.csv", "--device", "tpu"), { code: "CLI_OPTION", message: /"tpu"/ }],
  [
    "a placement without a GPU",
    labelled("good.csv", "--placement", "device"),
    { code: "TRAIN_PLACEMENT", message: /--device cpu/ },
  ],
  [
    "a precision without a GPU",
    labelled("good.csv", "--precision", "tf32"),
    { code: "TRAIN_PLACEMENT", message: /tf32/ },
  ],
  [
    "FAE with all rows on the GPU",
    labelled("good.csv", "--device", "cuda", "--strategy", "fae", "--placement", "device"),
    { code: "TRAIN_PLACEMENT", fix: /hybrid/ },
  ],
  [
    "a strategy as placement",
    labelled("good.csv", "--placement", "fae"),
    { code: "CLI_OPTION", message: /"fae"/ },
  ],
  ["a run folder that exists", labelled("good.csv", "--out", "kept"), { code: "RUN_EXISTS", where: "kept" }],
  ["a file as run folder", labelled("good.csv", "--out", "good.csv"), { code: "RUN_EXISTS" }],
  [
    "another configuration on resume",
    ["recsys", "train", "--resume", "kept", "--cache", "cache", "--model", "dlrm:dim=4,bottom=32,top=32"],
    { code: "RESUME_CONFIG", message: /model was "dlrm:dim=8,.*, got "dlrm:dim=4,/ },
  ],
  [
    "another rate on resume",
    ["recsys", "train", "--resume", "kept", "--cache", "cache", "--lr", "0.5"],
    { code: "RESUME_CONFIG", message: /got 0\.5/ },
  ],
  ["no such run", ["recsys", "evaluate", "nope", "good.csv"], { code: "RUN_MISSING", where: "nope" }],
  [
    "a column that the model needs and the file lacks",
    ["recsys", "predict", "kept", "two.csv", "--out", "two.parquet"],
    { code: "DATA_COLUMN_UNKNOWN", message: /"letter"/ },
  ],
  [
    "an output of no known format",
    ["recsys", "predict", "kept", "good.csv", "--out", "p.xls"],
    { code: "DATA_OUTPUT_FORMAT", message: /p\.xls/ },
  ],
  [
    "a probability column that is there already",
    ["recsys", "predict", "kept", "kept.parquet", "--out", "kept.csv"],
    { code: "DATA_COLUMN_DUPLICATE", message: /"probability"/ },
  ],
  [
    "a file that synth would replace",
    ["recsys", "synth", "--rows", "10", "--out", "kept.parquet"],
    { code: "SYNTH_FILE_EXISTS", message: /kept\.parquet/ },
  ],
];

describe("refused", () => {
  it("with status 2, in text and JSON, and nothing changed", async () => {
    const before = { ...(await work.snapshot("kept")), names: await readdir(work.directory) };
    const kept = await readFile(work.path("kept.parquet"));
    // Two at a time: most of a failure is the start of a process.
    const waiting = [...CASES];
    const worker = async (): Promise<void> => {
      for (let next = waiting.shift(); next; next = waiting.shift()) {
        const [name, args, expected] = next;
        const error = await failure(args);
        for (const [field, wanted] of Object.entries(expected)) {
          if (typeof wanted === "string") expect(error[field], name).toBe(wanted);
          else expect(error[field], name).toMatch(wanted);
        }
      }
    };
    await Promise.all([worker(), worker()]);
    expect({ ...(await work.snapshot("kept")), names: await readdir(work.directory) }).toEqual(before);
    expect((await readFile(work.path("kept.parquet"))).equals(kept)).toBe(true);
  });
});

describe("accepted with a warning", () => {
  it.each([
    [
      "malformed rows that are to be skipped",
      ["fields.csv", "--on-bad-row", "skip"],
      "2 malformed rows",
      238,
    ],
    ["a column all null", ["null.csv"], '"gone" is missing in every row', 240],
    ["NaN and infinities", ["nan.csv"], "NaN or infinite values", 240],
  ])("%s", async (name, args, message, rows) => {
    const out = `warned-${name.replaceAll(" ", "-")}`;
    const { lines, done } = await work.json([
      "recsys",
      "train",
      ...SMALL,
      ...args,
      "--label",
      "label",
      "--out",
      out,
    ]);
    const warnings = lines.filter((line) => line.event === "notice" && line["level"] === "warning");
    expect(JSON.stringify(warnings.map((line) => line["message"]))).toContain(
      JSON.stringify(message).slice(1, -1),
    );
    const counts = Object.values(done["rows"] as Record<string, number>);
    expect(counts.reduce((a, b) => a + b, 0)).toBe(rows);
    expect(Number.isFinite(done["logLoss"])).toBe(true);
  });
});

describe("a checkpoint", () => {
  const evaluate = (run: string) => ["recsys", "evaluate", run, "good.csv"];

  it("with a flipped bit is refused by evaluate, predict, export and resume", async () => {
    await cp(work.path("kept"), work.path("flipped"), { recursive: true });
    for (const name of ["best", "last"]) {
      const folder = work.path("flipped", "checkpoints", name);
      const file = (await readdir(folder)).find((entry) => entry.endsWith(".safetensors"))!;
      const bytes = await readFile(`${folder}/${file}`);
      bytes[bytes.length - 20]! ^= 64;
      await writeFile(`${folder}/${file}`, bytes);
    }
    for (const args of [
      evaluate("flipped"),
      ["recsys", "predict", "flipped", "good.csv", "--out", "flipped.csv"],
      ["recsys", "export", "flipped", "--onnx", "flipped.onnx"],
      ["recsys", "train", "--resume", "flipped", "--cache", "cache"],
    ]) {
      expect(await failure(args)).toMatchObject({ code: "CHECKPOINT_DAMAGED" });
    }
    expect(await readdir(work.directory)).not.toContain("flipped.csv");
    expect(await readdir(work.directory)).not.toContain("flipped.onnx");
  });

  it("that was cut off is refused", async () => {
    await cp(work.path("kept"), work.path("cut"), { recursive: true });
    const folder = work.path("cut", "checkpoints", "best");
    const file = (await readdir(folder)).find((entry) => entry.endsWith(".safetensors"))!;
    const bytes = await readFile(`${folder}/${file}`);
    await writeFile(`${folder}/${file}`, bytes.subarray(0, bytes.length / 2));
    expect(await failure(evaluate("cut"))).toMatchObject({ code: "CHECKPOINT_DAMAGED" });
  });

  it("or a run of a newer version is refused", async () => {
    await cp(work.path("kept"), work.path("newer"), { recursive: true });
    const setVersion = async (path: string): Promise<void> => {
      const record = JSON.parse(await readFile(path, "utf8")) as { version: number };
      await writeFile(path, JSON.stringify({ ...record, version: 99 }));
    };
    await setVersion(work.path("newer", "checkpoints", "best", "checkpoint.json"));
    expect(await failure(evaluate("newer"))).toMatchObject({ code: "CHECKPOINT_VERSION", message: /99/ });
    await setVersion(work.path("newer", "run.json"));
    expect(await failure(evaluate("newer"))).toMatchObject({ code: "RUN_VERSION", message: /99/ });
  });
});

describe("a learning rate that diverges", () => {
  const diverging = (out: string, ...args: string[]) => [
    "recsys",
    "train",
    "good.csv",
    "--label",
    "label",
    ...SMALL,
    "--optimizer",
    "sgd",
    "--decay",
    "constant",
    "--out",
    out,
    ...args,
  ];

  it("stops training within the epoch", async () => {
    const error = await failure(diverging("wild", "--lr", "1e6", "--batch-size", "16"));
    expect(error["code"]).toMatch(/^TRAIN_(LOSS_NAN|DIVERGED)$/);
    expect(error["fix"]).toContain("lower --lr");
    const record = JSON.parse(await readFile(work.path("wild", "run.json"), "utf8")) as { status: string };
    expect(record.status).toBe("failed");
  });

  it("saves no ruined weights when it shows only after the epoch's last step", async () => {
    // One step an epoch: the training loss before it is fine.
    const error = await failure(diverging("ruined", "--lr", "1e30", "--batch-size", "1000"));
    expect(error["code"]).toMatch(/^TRAIN_(LOSS_NAN|DIVERGED)$/);
    expect(error["where"]).toBe("validation after epoch 1");
    expect(await readdir(work.path("ruined"))).not.toContain("checkpoints");
    expect(await failure(["recsys", "evaluate", "ruined", "good.csv"])).toMatchObject({
      code: "CHECKPOINT_MISSING",
    });
  });

  it("keeps the last good checkpoint, which still predicts", async () => {
    // One step an epoch, too large by little: the first epochs go well.
    const args = ["--lr", "6", "--batch-size", "1000", "--epochs", "40", "--patience", "40"];
    expect(await failure(diverging("late", ...args))).toMatchObject({ code: "TRAIN_DIVERGED" });
    const { done } = await work.json(["recsys", "evaluate", "late", "good.csv"]);
    expect(done["logLoss"]).toBeLessThan(10);
  });
});

/** A folder on a file system of its own, for one command, where the system lets us have one. */
const tmpfs = (size: string, folder: string): string[] => [
  "unshare",
  "-rm",
  "sh",
  "-c",
  `mount -t tmpfs -o size=${size} tmpfs ${folder} && exec "$@"`,
  "sh",
];
const probe = spawnSync("unshare", ["-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]);
const title = `a full disk${probe.status === 0 ? "" : " (skipped: no private file system can be mounted here)"}`;
describe.skipIf(probe.status !== 0)(title, () => {
  it.each([
    ["the cache", "16k", "full/cache", labelled("good.csv", "--cache", "full/cache", "--time", "x")],
    ["a checkpoint", "24k", "full/run/checkpoints", labelled("good.csv", "--out", "full/run")],
    ["predictions", "4k", "full/p.csv", ["recsys", "predict", "kept", "good.csv", "--out", "full/p.csv"]],
    ["an exported model", "4k", "full/m.onnx", ["recsys", "export", "kept", "--onnx", "full/m.onnx"]],
    ["made data", "16k", "full/log", ["recsys", "synth", "--rows", "5000", "--out", "full/log.parquet"]],
    ["temporary files", "4k", "tmp", ["recsys", "evaluate", "kept", "good.csv"]],
  ])("is told while it writes %s", async (what, size, where, args) => {
    const folder = what === "temporary files" ? "tmp" : "full";
    await mkdir(work.path(folder), { recursive: true });
    const before = await work.snapshot("kept");
    const error = await failure(args, tmpfs(size, folder));
    expect(error["code"]).toMatch(/_DISK_FULL$/);
    expect(error["message"]).toMatch(/no space left/i);
    expect(`${String(error["where"])} ${String(error["message"])}`).toContain(where);
    expect(await work.snapshot("kept")).toEqual(before);
  });
});

/** A folder that nothing can be written to, for one command. */
const readOnly = (folder: string): string[] => [
  "unshare",
  "-rm",
  "sh",
  "-c",
  `mount -t tmpfs -o ro tmpfs ${folder} && exec "$@"`,
  "sh",
];
describe.skipIf(probe.status !== 0)(title.replace("a full disk", "a read-only file system"), () => {
  it.each([
    [
      "the cache",
      "readonly",
      "readonly/cache",
      /--cache/,
      labelled("good.csv", "--cache", "readonly/cache", "--min-count", "2"),
    ],
    [
      "the run",
      "readonly",
      "readonly/run",
      /--out/,
      ["recsys", "train", "good.csv", "--label", "label", "--out", "readonly/run"],
    ],
    ["temporary files", "tmp", "tmp", /TMPDIR/, labelled("good.csv")],
  ])("is told with the option that names another place: %s", async (_, folder, where, fix, args) => {
    await mkdir(work.path(folder), { recursive: true });
    const error = await failure(args, readOnly(folder));
    expect(error).toMatchObject({ code: "FILE_REFUSED", fix: expect.stringMatching(fix) });
    expect(`${String(error["where"])} ${String(error["message"])}`).toContain(where);
    expect(error["message"]).toMatch(/read-only/i);
  });
});

describe("--csv", () => {
  it("is kept by a run: a file without names, with decimal commas, is trained on, predicted and resumed", async () => {
    const next = numbers(9);
    const row = () => {
      const x = next();
      return `${next() < x ? 1 : 0};${x.toFixed(3).replace(".", ",")};café${Math.floor(next() * 4)}`;
    };
    const text = Array.from({ length: 300 }, row).join("\r\n");
    await writeFile(work.path("bare.csv"), Buffer.from(text, "latin1"));
    const bare = await failure(labelled("bare.csv"));
    expect(bare).toMatchObject({ code: "DATA_CSV_HEADER", fix: expect.stringContaining("--csv header=no") });
    const csv = ["--csv", "delim=;,decimal=,,header=no,encoding=latin-1"];
    await work.json([
      "recsys",
      "train",
      "bare.csv",
      ...csv,
      "--label",
      "c0",
      ...SMALL,
      "--epochs",
      "1",
      "--out",
      "bare",
    ]);
    await work.json(["recsys", "predict", "bare", "bare.csv", "--out", "bare-out.csv"]);
    const lines = (await readFile(work.path("bare-out.csv"), "utf8")).split("\n");
    expect(lines[0]).toBe("c0,c1,c2,probability");
    expect(lines[1]).toMatch(new RegExp(`^${text.split("\r\n")[0]!.replace(/^(.);(.*);/, '$1,"$2",')},0[.]`));
    const resumed = await work.json(["recsys", "train", "--resume", "bare", "--cache", "cache", ...csv]);
    expect(resumed.done).toMatchObject({ finished: true });
    await writeFile(work.path("unlabelled.csv"), text.replaceAll(/^.;/gm, ""));
    const narrow = await failure(["recsys", "predict", "bare", "unlabelled.csv", "--out", "n.csv"]);
    expect(narrow).toMatchObject({
      code: "DATA_COLUMNS_DIFFER",
      message: expect.stringMatching(/: 3, got 2$/),
    });
  });
});
