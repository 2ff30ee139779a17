/** @file Click logs: CSV, JSON lines, Criteo's text and Parquet, as far as the roles of their columns. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { inferSchema } from "../../../src/recsys/data/schema/inferSchema.ts";
import { openSource, type SourceOptions } from "../../../src/recsys/data/source/source.ts";
import { synthClicks } from "../../../src/recsys/data/synth/clicks.ts";
import { singleFiles, type FuzzTarget } from "../target.ts";

const csv = (rows: number, delimiter = ","): string =>
  [
    ["click", "price", "shop", "user_id", "tags", "time"],
    ...Array.from({ length: rows }, (_, i) => [
      i % 3 === 0 ? 1 : 0,
      i % 7 === 0 ? "" : (i * 1.25).toFixed(2),
      `"shop ${i % 5}"`,
      String(i * 7919).padStart(8, "0"),
      i % 2 === 0 ? "a|b" : "",
      `2026-01-${String(1 + (i % 28)).padStart(2, "0")} 10:00:00`,
    ]),
  ]
    .map((cells) => cells.join(delimiter))
    .join("\n");

/** Reads a log with as little machinery as can be. */
async function readLog(options: Pick<SourceOptions, "paths" | "format">): Promise<void> {
  const source = await openSource({ ...options, threads: 1 });
  try {
    await inferSchema(source, { label: source.column("click") ? "click" : source.columns[0]!.name });
    await source.database.rows("SELECT * FROM data LIMIT 20", source.name);
  } finally {
    await source.dispose();
  }
}

const csvTarget: FuzzTarget = {
  name: "csv",
  makeSeeds: async () =>
    singleFiles("log.csv", [
      csv(40),
      csv(10, ";").replaceAll(".", ","),
      csv(10, "\t"),
      Buffer.from(`\ufeff${csv(10)}`, "utf16le"),
      gzipSync(csv(40)),
      zstdCompressSync(csv(40)),
    ]),
  words: [
    '"',
    '""',
    ",",
    ";",
    "\t",
    "|",
    "\r",
    "\r\n",
    "\0",
    "1_003",
    "1e1",
    "00012345",
    "1.234.567,89",
    "$5",
    "12%",
    "NaN",
    "inf",
    "\\N",
    "é",
    "\xff",
    "2026-01-01T00:00:00Z",
    "99999999999999999999999999999999999999999",
    "true",
  ],
  read: (folder) => readLog({ paths: [join(folder, "log.csv")] }),
};

const jsonLines: FuzzTarget = {
  name: "json-lines",
  makeSeeds: async () => {
    const lines = Array.from({ length: 30 }, (_, i) =>
      JSON.stringify({
        click: i % 2,
        price: i * 1.5,
        shop: `s${i % 4}`,
        tags: ["a", `b${i % 3}`],
        id: 10_000_000_000 + i,
        nested: { a: i },
      }),
    );
    return singleFiles("log.jsonl", [
      lines.join("\n"),
      lines.slice(0, 5).join("\r\n"),
      gzipSync(lines.join("\n")),
    ]);
  },
  words: [
    "{",
    "}",
    "null",
    '"',
    "\\ud800",
    "1e400",
    "12345678901234567890",
    "[",
    "]",
    '{"click":0}',
    "\n",
    "true",
  ],
  read: (folder) => readLog({ paths: [join(folder, "log.jsonl")] }),
};

const criteo: FuzzTarget = {
  name: "criteo",
  makeSeeds: async () => {
    const line = (i: number): string =>
      [
        i % 2,
        ...Array.from({ length: 13 }, (_, d) => (d === i % 13 ? "" : i + d)),
        ...Array.from({ length: 26 }, (_, c) => (i * 31 + c).toString(16).padStart(8, "0")),
      ].join("\t");
    return singleFiles("day.txt", [`${Array.from({ length: 20 }, (_, i) => line(i)).join("\n")}\n`]);
  },
  words: ["\t", "\n", "-1", "deadbeef", "\0", "1.5", "x"],
  read: (folder) => readLog({ paths: [join(folder, "day.txt")], format: "criteo" }),
};

const parquet: FuzzTarget = {
  name: "parquet",
  async makeSeeds(scratch) {
    const file = join(scratch, "log.parquet");
    await synthClicks({ file, rows: 1000, preset: "small", seed: 3, drift: 1, threads: 1, overwrite: true });
    return singleFiles("log.parquet", [await readFile(file)]);
  },
  words: ["PAR1", "click", "\x15\x02", "\x19", "\x1c"],
  read: (folder) => readLog({ paths: [join(folder, "log.parquet")] }),
};

/** Readers of click logs. */
export const clickTargets: readonly FuzzTarget[] = [csvTarget, jsonLines, criteo, parquet];
