/** @file Files as people have them: compressed, cut off, misnamed, in other encodings, without a header, in folders, in databases. */
import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { DuckDBInstance } from "@duckdb/node-api";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { inferSchema } from "../../../../../src/recsys/data/schema/inferSchema.ts";
import type { CsvOptions } from "../../../../../src/recsys/data/source/csvOptions.ts";
import { openSource, type SourceOptions } from "../../../../../src/recsys/data/source/source.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pareto-files-"));
  await mkdir(join(folder, "stage"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const at = (name: string) => join(folder, name);

async function put(name: string, content: string | Uint8Array): Promise<string> {
  await mkdir(dirname(at(name)), { recursive: true });
  await writeFile(at(name), content);
  return at(name);
}

interface Read {
  names: string[];
  types: string[];
  rows: (string | null)[][];
  notices: string;
}

/** All values of a source as they stand in it. */
async function read(paths: string | string[], options: Partial<SourceOptions> = {}): Promise<Read> {
  await using source = await openSource({
    paths: [paths].flat(),
    tempDirectory: at("stage"),
    threads: 2,
    ...options,
  });
  const list = source.columns.map(({ written }, i) => `CAST(${written} AS VARCHAR) AS v${i}`);
  const rows = await source.database.rows<Record<string, string | null>>(
    `SELECT ${list.join(", ")} FROM data ORDER BY row`,
    "test",
  );
  return {
    names: source.columns.map(({ name }) => name),
    types: source.columns.map(({ type }) => type),
    rows: rows.map((row) => Object.values(row)),
    notices: source.notices.join("\n"),
  };
}

const readCsv = (path: string, csv: CsvOptions) => read(path, { csv });

async function failure(paths: string | string[], options: Partial<SourceOptions> = {}) {
  const error: unknown = await read(paths, options).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ name: "ParetoError" });
  // Whatever fails, nothing is left in the stage.
  expect(await readdir(at("stage"))).toEqual([]);
  return error as { code: string; where: string; message: string; fix: string };
}

const SMALL = "x,name\n1,a\n2,b\n";
const SMALL_ROWS = [
  ["1", "a"],
  ["2", "b"],
];
const LONG = `x,name\n${Array.from({ length: 30_000 }, (_, i) => `${(i * 7919) % 10_007},n${i}\n`).join("")}`;
const pack = { gz: (text: string) => gzipSync(text), zst: (text: string) => zstdCompressSync(text) };

describe.each(["gz", "zst"] as const)("compressed as %s", (ending) => {
  const whole = pack[ending](LONG);

  it("is read whole, whatever its name, and when it was put together of several", async () => {
    for (const name of [`whole.csv.${ending}`, `${ending}-named.csv`]) {
      const { rows } = await read(await put(name, whole));
      expect(rows).toHaveLength(30_000);
      expect(rows.at(-1)).toEqual([`${(29_999 * 7919) % 10_007}`, "n29999"]);
    }
    const half = LONG.indexOf("\n", LONG.length / 2) + 1;
    const two = Buffer.concat([pack[ending](LONG.slice(0, half)), pack[ending](LONG.slice(half))]);
    expect((await read(await put(`two.csv.${ending}`, two))).rows).toHaveLength(30_000);
  });

  it("is refused when it was cut off anywhere, with the place", async () => {
    for (const missing of [1, 3, 8, 12, whole.length >> 1, whole.length - 20]) {
      const path = await put(`cut.csv.${ending}`, whole.subarray(0, whole.length - missing));
      expect(await failure(path), `${missing} bytes missing`).toMatchObject({
        code: "DATA_COMPRESSION",
        where: path,
        message: expect.stringMatching(
          /cut off after \d+ bytes of text, got the end of the file at byte \d+$/,
        ),
      });
    }
  });

  it("is refused when a second part was cut off, or other bytes follow", async () => {
    const second = pack[ending](SMALL);
    for (const rest of [second.subarray(0, 3), second.subarray(0, -2), Buffer.from("garbage\n".repeat(9))]) {
      const path = await put(`tail.csv.${ending}`, Buffer.concat([whole, rest]));
      expect((await failure([at(`whole.csv.${ending}`), path])).code).toBe("DATA_COMPRESSION");
    }
  });

  it("is refused when a bit has flipped", async () => {
    // Half of a small Zstandard frame may be stored as it is: gzip alone has a checksum always.
    const flipped = Buffer.from(whole);
    flipped[ending === "gz" ? flipped.length - 6 : 30]! ^= 64;
    expect((await failure(await put(`flip.csv.${ending}`, flipped))).message).toMatch(
      /is damaged before byte \d+/,
    );
  });
});

describe("gzip", () => {
  it("may be padded with zero bytes", async () => {
    const path = await put("padded.csv.gz", Buffer.concat([gzipSync(SMALL), Buffer.alloc(512)]));
    expect((await read(path)).rows).toEqual(SMALL_ROWS);
  });

  it("in blocks (BGZF) lacks its last one when it was cut off between two", async () => {
    const block = (text: string) => {
      const bytes = gzipSync(text);
      const extra = Buffer.from([6, 0, 0x42, 0x43, 2, 0, 0, 0]);
      const head = Buffer.from(bytes.subarray(0, 10));
      head[3] = 4;
      return Buffer.concat([head, extra, bytes.subarray(10)]);
    };
    const end = Buffer.from("1f8b08040000000000ff0600424302001b0003000000000000000000", "hex");
    const blocks = [block(SMALL), block("3,c\n")];
    expect((await read(await put("b.csv.gz", Buffer.concat([...blocks, end])))).rows).toHaveLength(3);
    const cut = await failure(await put("bcut.csv.gz", Buffer.concat(blocks)));
    expect(cut).toMatchObject({
      code: "DATA_COMPRESSION",
      message: expect.stringMatching(/between two blocks/),
    });
  });

  it("is not taken from the name", async () => {
    expect((await read(await put("plain.csv.gz", SMALL))).rows).toEqual(SMALL_ROWS);
  });
});

describe("a file by its bytes", () => {
  it("is Parquet, whatever its name says, also when it was compressed", async () => {
    const instance = await DuckDBInstance.create();
    const connection = await instance.connect();
    await connection.run(`COPY (SELECT 7 AS x, 'a' AS name) TO '${at("p.parquet")}'`);
    connection.closeSync();
    const bytes = await readFile(at("p.parquet"));
    expect((await read(await put("p.csv", bytes))).rows).toEqual([["7", "a"]]);
    expect((await read(await put("p.parquet.gz", gzipSync(bytes)))).rows).toEqual([["7", "a"]]);
    const cut = await put("cut.parquet", bytes.subarray(0, bytes.length - 9));
    expect(await failure(cut)).toMatchObject({ code: "DATA_PARQUET_DAMAGED", where: cut });
    expect(await failure(at("p.csv"), { format: "csv" })).toMatchObject({ code: "DATA_FORMAT_UNKNOWN" });
    const zeros = await put("zeros.parquet", Buffer.alloc(64));
    expect(await failure(zeros)).toMatchObject({ code: "DATA_PARQUET_DAMAGED" });
  });

  it("is CSV or JSON, and said where its name says otherwise", async () => {
    const csv = await read(await put("t.parquet", SMALL));
    expect(csv.rows).toEqual(SMALL_ROWS);
    expect(csv.notices).toMatch(/is CSV by its content/);
    const json = await read(await put("lines.csv", '{"x":1,"name":"a"}\n{"x":2,"name":"b"}\n'));
    expect(json.rows).toEqual(SMALL_ROWS);
    expect(await failure(await put("t.json", SMALL))).toMatchObject({
      code: "DATA_FORMAT_UNKNOWN",
      fix: expect.stringContaining("--format csv"),
    });
  });

  it.each([
    ["book.xlsx", "PK\x03\x04............xl/workbook.xml", /Excel workbook/],
    ["a.zip", "PK\x03\x04............clicks.csv", /ZIP archive/],
    ["a.csv.bz2", "BZh91AY&SY....", /bzip2/],
    ["a.csv.xz", "\xfd7zXZ\0....", /xz file/],
    ["a.feather", "ARROW1\0\0....", /Arrow/],
    ["a.pkl", "\x80\x04\x95\x10\0\0\0", /pickle/],
  ])("%s is named", async (name, start, message) => {
    expect(await failure(await put(name, Buffer.from(start, "latin1")))).toMatchObject({
      code: "DATA_FORMAT_UNKNOWN",
      message: expect.stringMatching(message),
    });
  });

  it("that is empty, or empty once unpacked, is refused", async () => {
    for (const path of [await put("none.csv", ""), await put("none.csv.gz", gzipSync(""))])
      expect(await failure(path)).toMatchObject({ code: "DATA_FILE_EMPTY", where: path });
  });

  it("that was cut off in its last row is refused", async () => {
    const csv = await put("short.csv", "x,name\n1,a\n2");
    expect(await failure(csv)).toMatchObject({ code: "DATA_CSV_ROW", where: `${csv}:3` });
    const json = await put("short.jsonl", '{"x":1}\n{"x":2}\n{"x":');
    expect((await failure(json)).message).toMatch(/unexpected end of data/);
  });
});

describe("encodings", () => {
  const text = "stadt,x\nKöln,1\nNîmes,2\n";
  const rows = [
    ["Köln", "1"],
    ["Nîmes", "2"],
  ];
  const swapped = (bytes: Buffer) => Buffer.from(bytes).swap16();

  it.each([
    ["UTF-8", Buffer.from(text), /^$/],
    ["UTF-8 with a mark", Buffer.from(`\uFEFF${text}`), /^$/],
    ["Latin-1", Buffer.from(text, "latin1"), /is not UTF-8 and is read as Windows-1252/],
    ["UTF-16 LE", Buffer.from(`\uFEFF${text}`, "utf16le"), /UTF-16LE/],
    ["UTF-16 BE", swapped(Buffer.from(`\uFEFF${text}`, "utf16le")), /UTF-16BE/],
    ["UTF-16 LE without a mark", Buffer.from(text, "utf16le"), /UTF-16LE/],
    ["UTF-16 BE without a mark", swapped(Buffer.from(text, "utf16le")), /UTF-16BE/],
    ["Latin-1 in gzip", gzipSync(Buffer.from(text, "latin1")), /Windows-1252/],
    ["UTF-16 in Zstandard", zstdCompressSync(Buffer.from(text, "utf16le")), /UTF-16LE/],
  ])("%s is read, and named where it is not UTF-8", async (_, bytes, notice) => {
    const found = await read(await put("encoded.csv", bytes));
    expect(found.names).toEqual(["stadt", "x"]);
    expect(found.rows).toEqual(rows);
    expect(found.notices).toMatch(notice);
  });

  it("keeps the letters of Windows-1252 that Latin-1 has not", async () => {
    const found = await read(
      await put("euro.csv", Buffer.from("preis,x\n\x80 5,1\n\x93q\x94,2\n", "latin1")),
    );
    expect(found.rows.map(([price]) => price)).toEqual(["€ 5", "“q”"]);
  });

  it("finds a byte that is no UTF-8 behind the first megabytes, and characters across chunks", async () => {
    const long = `name,x\n${"é".repeat(700_000)},1\n${"ü".repeat(700_001)},2\n`;
    expect((await read(await put("long.csv", long))).rows[1]![0]).toBe("ü".repeat(700_001));
    const broken = Buffer.from(`${long}é,3\n`);
    broken[broken.length - 4] = 0x41;
    expect(await failure(await put("broken.csv", broken))).toMatchObject({
      code: "DATA_TEXT_ENCODING",
      message: `the text is UTF-8 at first but not throughout, got a byte that is none at ${broken.length - 5}`,
    });
  });

  it("of other scripts are asked for, and read when they are named", async () => {
    const bytes = Buffer.from("name,x\n\xcc\xee\xf1\xea\xe2\xe0,1\n", "latin1");
    const path = await put("cyrillic.csv", bytes);
    expect((await failure(path)).fix).toMatch(/--csv encoding=windows-1251/);
    expect((await readCsv(path, { encoding: "windows-1251" })).rows).toEqual([["Москва", "1"]]);
    expect((await readCsv(path, { encoding: "cp1251" })).rows).toEqual([["Москва", "1"]]);
  });

  it("that are named are not believed against the bytes", async () => {
    const latin = await put("latin.csv", Buffer.from(text, "latin1"));
    expect(await failure(latin, { csv: { encoding: "utf-8" } })).toMatchObject({
      code: "DATA_TEXT_ENCODING",
    });
    const utf8 = await readCsv(await put("utf8.csv", text), { encoding: "latin-1" });
    expect(utf8.notices).toMatch(/its bytes are UTF-8/);
  });

  it("a NUL is refused with its place", async () => {
    const path = await put("nul.csv", "x,name\n1,a\0\n");
    expect(await failure(path)).toMatchObject({
      code: "DATA_TEXT_NUL",
      message: expect.stringMatching(/byte 10 /),
    });
  });
});

describe("line ends", () => {
  const quoted = 'x,note\n1,"a\nb"\n2,"say ""hi"""\n3,5" pipe\n';
  const rows = [
    ["1", "a\nb"],
    ["2", 'say "hi"'],
    ["3", '5" pipe'],
  ];
  /** Line ends outside of quotes replaced, one after the other. */
  const ended = (...ends: string[]) => {
    let line = 0;
    return quoted.replaceAll(/\n(?!b)/g, () => ends[line++ % ends.length]!);
  };

  it.each([
    ["line feeds", ["\n"]],
    ["carriage returns", ["\r"]],
    ["both", ["\r\n"]],
    ["now one, now the other", ["\r\n", "\n"]],
    ["the other first", ["\n", "\r\n"]],
    ["all three", ["\r", "\n", "\r\n"]],
  ])("%s", async (_, ends) => {
    expect((await read(await put("ends.csv", ended(...ends)))).rows).toEqual(rows);
  });

  it("within quotes stay as they are", async () => {
    const found = await read(await put("inner.csv", 'x,note\r1,"a\r\nb\rc"\r2,d\r'));
    expect(found.rows).toEqual([
      ["1", "a\r\nb\rc"],
      ["2", "d"],
    ]);
  });
});

describe("a pipe", () => {
  it("is refused, not waited for", async () => {
    execFileSync("sh", ["-c", 'mkfifo "$0"', at("pipe.csv")]);
    expect(await failure(at("pipe.csv"))).toMatchObject({
      code: "FILE_REFUSED",
      message: expect.stringMatching(/a pipe$/),
    });
  });
});

describe("without a header", () => {
  it("that a first line of text or counts hides, the error for the absent column says what to do", async () => {
    for (const [name, line] of [
      ["counts.csv", "0,k0,1"],
      ["words.csv", "no,k0,blue"],
    ] as const) {
      await using source = await openSource({
        paths: [await put(name, `${line}\n${line}\n`)],
        tempDirectory: at("stage"),
        threads: 2,
      });
      const error = { code: "DATA_LABEL_ABSENT", fix: expect.stringMatching(/^Name one.*--csv header=no/) };
      await expect(inferSchema(source, { label: "y" })).rejects.toMatchObject(error);
    }
  });

  const values = "1,0.5,a\n0,0.25,b\n";

  it("is told, with a fix that works", async () => {
    for (const content of [values, "a,b,0.5\nc,d,0.7\n", "7,8\n9,10\n", "2024-01-01,a\n2024-01-02,b\n"]) {
      const path = await put("bare.csv", content);
      expect(await failure(path)).toMatchObject({
        code: "DATA_CSV_HEADER",
        fix: expect.stringMatching(/header=no/),
      });
      expect((await readCsv(path, { header: false })).rows).toHaveLength(2);
      expect((await readCsv(path, { header: true })).rows).toHaveLength(1);
    }
    expect((await readCsv(await put("bare.csv", values), { header: false })).names).toEqual([
      "c0",
      "c1",
      "c2",
    ]);
  });

  it("is not supposed of tables that are wide by year or by position", async () => {
    for (const head of ["land,2020,2021,2022", "0,1,2,3", "name,x1,x2,x3"])
      expect((await read(await put("wide.csv", `${head}\na,1,2,3\n`))).names).toEqual(head.split(","));
  });

  it("has as many columns in all files", async () => {
    const paths = [await put("h1.csv", "1,2\n"), await put("h2.csv", "1,2,3\n")];
    expect(await failure(paths, { csv: { header: false } })).toMatchObject({ code: "DATA_COLUMNS_DIFFER" });
  });
});

describe("how a CSV file is written", () => {
  it("is found: decimal commas beside semicolons, Excel's line of the delimiter, blank lines before the header", async () => {
    const commas = await read(await put("semi.csv", "a;b\n0,5;1,5\n0,7;2,5\n"));
    expect([commas.names, commas.types]).toEqual([
      ["a", "b"],
      ["DOUBLE", "DOUBLE"],
    ]);
    expect((await readCsv(at("semi.csv"), { header: false })).rows[1]).toEqual(["0,5", "1,5"]);
    expect((await read(await put("excel.csv", "sep=;\r\na;b\r\n1;2\r\n"))).names).toEqual(["a", "b"]);
    expect((await read(await put("blank.csv", "\n\na,b\n1,2\n"))).rows).toEqual([["1", "2"]]);
  });

  it.each([
    ["a||b\n1||2\n", { delim: "||" }, [["1", "2"]]],
    ["a,b\n'x,y',2\n", { quote: "'" }, [["x,y", "2"]]],
    ['a,b\n"x\\"y",2\n', { escape: "\\" }, [['x"y', "2"]]],
    ['a,b\n"x,2\n', { quote: "" }, [['"x', "2"]]],
    ["made by hand\n\na,b\n1,2\n", { skip: 2 }, [["1", "2"]]],
  ] as [string, CsvOptions, string[][]][])("is said: %j", async (content, csv, rows) => {
    expect((await readCsv(await put("said.csv", content), csv)).rows).toEqual(rows);
  });

  it("says what commas and points in numbers are", async () => {
    const path = await put("marks.csv", "a|b\n1.234|x\n5.678|y\n");
    expect((await read(path)).types).toEqual(["DOUBLE", "VARCHAR"]);
    await using source = await openSource({ paths: [path], csv: { thousands: "." } });
    expect(await source.database.rows("SELECT c0 AS v FROM data", "test")).toEqual([
      { v: 1234 },
      { v: 5678 },
    ]);
  });

  it("names row and line of a bad row behind skipped lines", async () => {
    const path = await put("bad.csv", "note\na,b\n1,2\n3\n");
    const error = await failure(path, { csv: { skip: 1 } });
    expect(error.where).toBe(`${path}:4`);
    expect(error.message).toMatch(/^row 2 /);
  });
});

describe("an index that pandas wrote", () => {
  const roles = async (content: string) => {
    await using source = await openSource({ paths: [await put("index.csv", content)] });
    const { columns, notices } = await inferSchema(source, { label: "y" });
    return { roles: columns.map(({ role }) => role), notices: notices.join("\n") };
  };

  it.each([
    ["counting up", ",x,y\n0,0.5,1\n1,0.7,0\n2,0.9,1\n"],
    ["shuffled", "Unnamed: 0,x,y\n7,0.5,1\n3,0.7,0\n12,0.9,1\n"],
    ["of files put together", ",x,y\n0,0.5,1\n1,0.7,0\n0,0.9,1\n1,0.3,0\n"],
  ])("is left out, and said: %s", async (_, content) => {
    const found = await roles(content);
    expect(found.roles).toEqual(["ignored", "dense", "label"]);
    expect(found.notices).toMatch(/is ignored: numbers the rows, as the index that pandas writes/);
  });

  it("is not supposed of a column that has other values, or a name of its own", async () => {
    for (const content of [",x,y\n0.5,0.5,1\n1,0.7,0\n", "n,x,y\n0,0.5,1\n1,0.7,0\n"])
      expect((await roles(content)).roles[0]).not.toBe("ignored");
  });
});

describe("folders", () => {
  it("named KEY=VALUE are columns of their files, typed as text files are", async () => {
    for (const [day, shop, name] of [
      ["2024-01-01", "007", "a"],
      ["2024-01-02", "012", "b"],
    ] as const)
      await put(`hive/day=${day}/shop=${shop}/part-0.csv`, `x,name\n1,${name}\n`);
    await put("hive/_SUCCESS", "");
    const found = await read(at("hive"));
    expect(found.names).toEqual(["x", "name", "day", "shop"]);
    expect(found.types).toEqual(["BIGINT", "VARCHAR", "DATE", "VARCHAR"]);
    expect(found.rows).toEqual([
      ["1", "a", "2024-01-01", "007"],
      ["1", "b", "2024-01-02", "012"],
    ]);
  });

  it("hold Parquet and JSON in the same way, and Hive's missing value", async () => {
    const instance = await DuckDBInstance.create();
    const connection = await instance.connect();
    for (const day of ["2024-01-01", "__HIVE_DEFAULT_PARTITION__"]) {
      await mkdir(at(`lake/day=${day}`), { recursive: true });
      await connection.run(`COPY (SELECT 1 AS x) TO '${at(`lake/day=${day}/a.parquet`)}'`);
      await put(`lines/day=${day}/a.jsonl`, '{"x":1}\n');
    }
    connection.closeSync();
    const parquet = await read(at("lake"));
    expect([parquet.names, parquet.types]).toEqual([
      ["x", "day"],
      ["INTEGER", "DATE"],
    ]);
    expect(parquet.rows).toEqual([
      ["1", "2024-01-01"],
      ["1", null],
    ]);
    expect((await read(at("lines"))).rows).toEqual(parquet.rows);
  });

  it("of other keys are refused; a column of the file's own stays", async () => {
    await put("mixed/day=1/a.csv", SMALL);
    await put("mixed/b.csv", SMALL);
    expect(await failure(at("mixed"))).toMatchObject({ code: "DATA_COLUMNS_DIFFER", message: /"day"/ });
    await put("own/x=9/a.csv", SMALL);
    const found = await read(at("own"));
    expect(found.rows).toEqual(SMALL_ROWS);
    expect(found.notices).toMatch(/column "x" of their own/);
  });

  it("of mixed formats are refused, and what is no data is said", async () => {
    await put("two/a.csv", SMALL);
    await put("two/README.md", "text");
    expect((await read(at("two"))).notices).toMatch(/1 file of .* no data by their names/);
    await put("two/b.jsonl", '{"x":1,"name":"a"}\n');
    expect(await failure(at("two"))).toMatchObject({
      code: "DATA_FORMATS_MIXED",
      fix: expect.stringContaining("*.csv"),
    });
  });
});

describe("databases", () => {
  const make = async (name: string, ...statements: string[]) => {
    const instance = await DuckDBInstance.create(at(name));
    const connection = await instance.connect();
    for (const statement of statements) await connection.run(statement);
    connection.closeSync();
    instance.closeSync();
    return at(name);
  };

  it("of one table are a source, in the order of its rows", async () => {
    const path = await make(
      "one.db",
      "CREATE TABLE clicks AS SELECT i AS x, 'n' || i AS name FROM range(5000) AS t(i)",
    );
    const { rows, types } = await read(path);
    expect(types).toEqual(["BIGINT", "VARCHAR"]);
    expect(rows.map(([x]) => Number(x))).toEqual(Array.from({ length: 5000 }, (_, i) => i));
    expect((await read(path, { sql: "SELECT x FROM source WHERE x < 2" })).rows).toEqual([["0"], ["1"]]);
  });

  it("of several tables need a query, which finds them by name", async () => {
    const path = await make(
      "several.duckdb",
      "CREATE TABLE clicks AS SELECT 1 AS x, 2 AS shop",
      "CREATE TABLE shops AS SELECT 2 AS shop, 'b' AS name",
      "CREATE SCHEMA old",
      'CREATE TABLE old."my clicks" AS SELECT 5 AS x',
    );
    expect(await failure(path)).toMatchObject({
      code: "DATA_TABLES",
      message: expect.stringMatching(/3 tables .*got clicks, shops, old\."my clicks"$/),
      fix: expect.stringContaining('--sql "SELECT * FROM clicks"'),
    });
    const sql = "SELECT x, name FROM clicks JOIN shops USING (shop)";
    expect((await read(path, { sql })).rows).toEqual([["1", "b"]]);
    expect((await read(path, { sql: 'SELECT x FROM old."my clicks"' })).rows).toEqual([["5"]]);
    expect((await read(path, { sql: "SELECT x FROM several.main.clicks" })).rows).toEqual([["1"]]);
  });

  it("of SQLite, in the network or behind an address say which extension to install, and fetch nothing", async () => {
    const sqlite = new DatabaseSync(at("lite.db"));
    sqlite.exec("CREATE TABLE clicks (x INTEGER); INSERT INTO clicks VALUES (1)");
    sqlite.close();
    const install = /^Install it once.*INSTALL \w+/;
    const failures = [
      await failure(at("lite.db")),
      await failure([], { sql: `SELECT * FROM sqlite_scan('${at("lite.db")}', 'clicks')` }),
      await failure([], { sql: "SELECT * FROM postgres_scan('dbname=x', 'public', 'clicks')" }),
      await failure([], { sql: "SELECT * FROM 's3://bucket/clicks.parquet'" }),
      await failure("s3://bucket/clicks.parquet"),
    ];
    for (const error of failures)
      expect(error).toMatchObject({ code: "DATA_EXTENSION", fix: expect.stringMatching(install) });
  });
});
