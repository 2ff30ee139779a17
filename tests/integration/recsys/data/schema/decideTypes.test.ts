/** @file Types of text columns from all rows: values arrive as they are written, however late they change their shape. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openSource, type SourceOptions } from "../../../../../src/recsys/index.ts";

let root: string;
let made = 0;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "pareto-types-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

interface Found {
  type: string;
  /** As DuckDB writes them; null where missing. */
  values: (string | null)[];
  written: (string | null)[];
  notices: string;
  reason: string;
}

/** Column `v` of a CSV file that holds these values, each quoted where it must be. */
async function column(values: readonly string[], options: Partial<SourceOptions> = {}): Promise<Found> {
  const path = join(root, `${made++}.csv`);
  const { delim = "," } = options.csv ?? {};
  const lines = values.map(
    (value) => `1${delim}${/[",\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value}`,
  );
  await writeFile(path, `y${delim}v\n${lines.join("\n")}\n`);
  await using source = await openSource({ paths: [path], threads: 2, tempDirectory: root, ...options });
  const { type, sql, written, reason } = source.column("v")!;
  const rows = await source.database.rows<{ value: string | null; written: string | null }>(
    `SELECT CAST(${sql} AS VARCHAR) AS value, ${written} AS written FROM data ORDER BY row`,
    path,
  );
  return {
    type,
    values: rows.map(({ value }) => value),
    written: rows.map((row) => row.written),
    notices: source.notices.join("\n"),
    reason,
  };
}

/** The value of every row but the last few, which come after the lines from which DuckDB would guess a type. */
const late = (value: (i: number) => string, ...last: string[]) => [
  ...Array.from({ length: 21_000 }, (_, i) => value(i)),
  ...last,
];

describe("values that change their shape late", () => {
  test.each([
    ["fractions after whole numbers", late(() => "1", "0.4", "1.6"), "DOUBLE", ["0.4", "1.6"]],
    ["leading zeros after whole numbers", late((i) => `${i}`, "0148"), "VARCHAR", ["0148"]],
    ["underscores after whole numbers", late((i) => `${i}`, "1_003"), "VARCHAR", ["1_003"]],
    ["exponents after whole numbers", late((i) => `${i}`, "1e1"), "VARCHAR", ["1e1"]],
    ["plus signs after whole numbers", late((i) => `${i}`, "+5"), "VARCHAR", ["+5"]],
    ["words after whole numbers", late((i) => `${i}`, "abc"), "VARCHAR", ["abc"]],
    [
      "20 digits after whole numbers",
      late((i) => `${i}`, "12345678901234567891"),
      "VARCHAR",
      ["12345678901234567891"],
    ],
    [
      "19 digits after whole numbers",
      late(() => "1", "9223372036854775807"),
      "BIGINT",
      ["9223372036854775807"],
    ],
    [
      "timestamps after dates",
      late(() => "2024-01-31", "2024-02-01 10:30:00"),
      "TIMESTAMP",
      ["2024-02-01 10:30:00"],
    ],
    ["another spelling of booleans", late(() => "true", "True"), "VARCHAR", ["True"]],
    ["one for true", late(() => "true", "1"), "VARCHAR", ["1"]],
  ])("%s", async (_, values, type, last) => {
    const found = await column(values);
    expect(found.type).toBe(type);
    expect(found.values.slice(-last.length)).toEqual(last);
    expect(found.written).toEqual(values);
    if (values[0] === "0" && type === "VARCHAR") {
      expect(found.notices).toMatch(/kept as text.*row 21001: "/);
      expect(found.reason).toContain("row 21001");
    }
  });
});

describe("types", () => {
  test.each([
    [["1e1", "10", "1e2", "100", "2e1"], "VARCHAR"],
    [["12345678901234567890", "12345678901234567891"], "VARCHAR"],
    [["007", "7"], "VARCHAR"],
    [["0x10", "5"], "VARCHAR"],
    [["a", "A", " a"], "VARCHAR"],
    [["-9223372036854775808", "0"], "BIGINT"],
    [["9007199254740993", "9007199254740992"], "BIGINT"],
    [["True", "False"], "BOOLEAN", ["true", "false"]],
    [["10:30:00", "10:31:00"], "TIME"],
    [["2024-02-30", "2024-02-28"], "VARCHAR"],
    [
      ["2024-01-31T10:00:00Z", "2024-01-31T12:30:00+02:00"],
      "TIMESTAMP",
      ["2024-01-31 10:00:00", "2024-01-31 10:30:00"],
    ],
    [["2024-01-31 10:00:00.123456789"], "TIMESTAMP_NS"],
    [["31/12/2024", "01/02/2024"], "TIMESTAMP", ["2024-12-31 00:00:00", "2024-02-01 00:00:00"]],
    [["12/31/2024", "01/02/2024"], "TIMESTAMP", ["2024-12-31 00:00:00", "2024-01-02 00:00:00"]],
    [["11/12/2024", "01/02/2024"], "VARCHAR"],
    [["1e-05", "3"], "DOUBLE", ["1e-05", "3.0"]],
    [["0.1", "1e5"], "DOUBLE", ["0.1", "100000.0"]],
    [[" 5", "6 "], "BIGINT", ["5", "6"]],
  ])("%j is %s", async (values, type, expected: string[] = values) => {
    const found = await column(values);
    expect([found.type, found.values]).toEqual([type, expected]);
    expect(found.written).toEqual(values);
  });

  test("infinities, NaN and marks of absence are missing among numbers, and said", async () => {
    const odd = ["inf", "-Infinity", "NaN", "INF", "NA", "n/a", "None", "?", "", "NULL"];
    const whole = await column(["7", ...odd]);
    expect([whole.type, whole.values]).toEqual(["BIGINT", ["7", ...odd.map(() => null)]]);
    expect(whole.notices).toMatch(/"v" holds 4 NaN or infinite/);
    expect(whole.notices).toMatch(/marks of absence such as NA \(4\).*row 6: "NA"/);
    expect(whole.written).toEqual(["7", ...odd.slice(0, 8), null, "NULL"]);
    expect((await column(["7.5", ...odd])).type).toBe("DOUBLE");
    expect((await column(["DE", ...odd])).values).toEqual(["DE", ...odd.slice(0, 8), null, null]);
  });

  test("a column of numbers in one form is numeric, and said", async () => {
    const comma = await column(["2,5", "-0,25", "NA", "3"]);
    expect([comma.type, comma.values]).toEqual(["DOUBLE", ["2.5", "-0.25", null, "3.0"]]);
    expect(comma.notices).toContain('"v" is read as numbers with decimal commas.');
    const money = await column(["$1,234.50", "($2)", "-$0.5"]);
    expect(money.values).toEqual(["1234.5", "-2.0", "-0.5"]);
    const european = await column(["1.234,5 €", "1\u00a0€"]);
    expect(european.values).toEqual(["1234.5", "1.0"]);
    expect((await column(["12%", "3.5 %"])).values).toEqual(["12.0", "3.5"]);
    expect((await column(["1'234", "7"])).values).toEqual(["1234.0", "7.0"]);
    expect((await column(["1\u202f234", "−7"])).values).toEqual(["1234.0", "-7.0"]);
    expect((await column(["1,234", "999"], { csv: { decimal: "," } })).values).toEqual(["1.234", "999.0"]);
    const several = await column(["2,5", "1.5"]);
    expect([several.type, several.values]).toEqual(["VARCHAR", ["2,5", "1.5"]]);
    expect(several.notices).toMatch(/kept as text: its numbers are written in several ways/);
    const points = await column(["1.234", "-56.789", "7"], { csv: { delim: ";" } });
    expect(points.values).toEqual(["1.234", "-56.789", "7.0"]);
    expect(points.notices).toMatch(/"v" is read as numbers with decimal points.*--csv thousands=\./);
    expect((await column(["1.234", "56.78"], { csv: { delim: ";" } })).notices).not.toMatch(/decimal points/);
    expect((await column(["1.234", "56.789"])).notices).not.toMatch(/decimal points/);
    for (const csv of [{ decimal: "," }, { thousands: "." }] as const) {
      const points = await column(["2.5", "0.25"], { csv });
      expect([points.type, points.values]).toEqual(["VARCHAR", ["2.5", "0.25"]]);
      expect(points.notices).toMatch(/"v" is kept as text: its numbers are not all written as --csv says/);
    }
  });

  test("numbers with a word among them are text, and the word is said", async () => {
    const values = Array.from({ length: 50 }, (_, i) => (i === 30 ? "n.a." : `${i}.5`));
    expect((await column(values)).notices).toMatch(
      /1 of its 50 values is no number; the first in row 31: "n\.a\."/,
    );
  });
});
