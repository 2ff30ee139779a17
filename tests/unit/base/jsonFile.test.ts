/** @file One way to read and to refuse JSON files. */
import { mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { fileExists, readText, readTextIfExists, writeText } from "../../../src/base/files.ts";
import {
  checkJson,
  parseJson,
  readJson,
  readJsonIfExists,
  writeJson,
  type JsonFormat,
} from "../../../src/base/jsonFile.ts";

interface Box {
  version: 2;
  sides: { length: number }[];
}

const format: JsonFormat<Box> = {
  noun: "box",
  schema: z.object({ version: z.literal(2), sides: z.array(z.object({ length: z.number() })) }),
  newest: { version: 2 },
  codes: { damaged: "BOX_DAMAGED", version: "BOX_VERSION" },
  fix: "Make another box.",
};

describe("the text of a JSON file", () => {
  test("is read by its schema, with a byte order mark or without", () => {
    const box = { version: 2, sides: [{ length: 1.5 }] };
    expect(parseJson(format, "box.json", JSON.stringify(box))).toEqual(box);
    expect(parseJson(format, "box.json", `\uFEFF${JSON.stringify(box)}`)).toEqual(box);
  });

  test.each([
    ["no JSON", "{sides", "box.json is not JSON (", ', got "{sides"'],
    ["nothing", " ", "box.json is empty", ', got " "'],
    ["a text that is cut off", '{"version": 2, "sides": [', "box.json is not JSON (", ""],
    ["null", "null", "box.json is wrong at its top level: expected object, got null", ""],
    ["a list", "[1]", "box.json is wrong at its top level: expected object, got [1]", ""],
    [
      "a value of another type",
      '{"version": 2, "sides": [{"length": "1"}]}',
      'box.json is wrong at sides[0].length: expected number, got "1"',
      "",
    ],
    ["no such key", '{"version": 2}', "box.json is wrong at sides: expected array, got nothing", ""],
    ["a number beyond all", '{"version": 2, "sides": [{"length": 1e999}]}', "at sides[0].length: ", ""],
    ["an older version", '{"version": 1, "sides": []}', "box.json is wrong at version: ", ", got 1"],
    ["a version in words", '{"version": "3", "sides": []}', "box.json is wrong at version: ", ', got "3"'],
    [
      "a key twice",
      '{"version": 2, "sides": [{"length": 1}, {"length": 2, "leng\\u0074h": 3}]}',
      'box.json has one key twice, sides[1].length, got "length"',
      "",
    ],
    ["lists without end", "[".repeat(1e5) + "]".repeat(1e5), "nests more than 200 objects and lists", ""],
  ])("is refused as damaged when it holds %s", (_, text, start, end) => {
    const refused = {
      code: "BOX_DAMAGED",
      where: "a/box.json",
      fix: "Make another box.",
      message: expect.stringContaining(start) as string,
    };
    expect(() => parseJson(format, "a/box.json", text)).toThrow(expect.objectContaining(refused));
    expect(() => parseJson(format, "a/box.json", text)).toThrow(end);
  });

  test("may hold what looks like structure in its texts, and one key in several objects", () => {
    const tricky = { version: 2, sides: [{ length: 1 }, { length: 2 }], '{"a":1,"a":[': '\\"},{' };
    expect(parseJson(format, "box.json", JSON.stringify(tricky))).toMatchObject({ version: 2 });
  });

  test("names the key of a schema that allows no others, and what every choice wants", () => {
    const strict = { ...format, schema: z.strictObject({ size: z.union([z.number(), z.literal("large")]) }) };
    expect(() => checkJson(strict, "box.json", { size: 1, "odd key": 2 })).toThrow(
      'box.json is wrong at ["odd key"]: no such key is known, got 2',
    );
    expect(() => checkJson(strict, "box.json", { size: "tiny" })).toThrow(
      'box.json is wrong at size: expected number, or expected "large", got "tiny"',
    );
  });

  test("is refused by its version when a newer Pareto wrote it, whatever else it holds", () => {
    expect(() => parseJson(format, "box.json", '{"version": 3, "corners": 8}')).toThrow(
      expect.objectContaining({
        code: "BOX_VERSION",
        message: "this Pareto reads a box up to version 2, got version 3",
      }),
    );
    const two: JsonFormat<Box> = { ...format, newest: { version: 2, paint: 7 } };
    expect(() => parseJson(two, "box.json", '{"version": 2, "paint": 8}')).toThrow(
      "this Pareto reads a box up to version 2 and paint 7, got version 2 and paint 8",
    );
  });

  test("that was parsed already is checked alike", () => {
    expect(() => checkJson(format, "box.json", { version: 2 })).toThrow(
      expect.objectContaining({ code: "BOX_DAMAGED", message: expect.stringContaining("at sides: ") }),
    );
  });
});

describe("a JSON file", () => {
  let folder: string;
  let path: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "pareto-json-"));
    path = join(folder, "box.json");
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test("is read by its path; one that is not there is null, or an error", async () => {
    writeFileSync(path, '\uFEFF{"version": 2, "sides": []}');
    expect(await readJson(format, path)).toEqual({ version: 2, sides: [] });
    expect(await readJsonIfExists(format, join(folder, "none.json"))).toBeNull();
    expect(await readJsonIfExists(format, join(path, "below"))).toBeNull();
    await expect(readJson(format, join(folder, "none.json"))).rejects.toMatchObject({ code: "FILE_MISSING" });
  });

  test.each([
    ["Latin-1", Buffer.from('{"version": 2, "sides": "\xE9"}', "latin1")],
    ["UTF-16", Buffer.from('\uFEFF{"version": 2}', "utf16le")],
  ])("in %s is refused rather than read wrongly", async (_, bytes) => {
    writeFileSync(path, bytes);
    const message = expect.stringContaining("box.json is not UTF-8 text, got bytes ") as string;
    await expect(readJson(format, path)).rejects.toMatchObject({ code: "BOX_DAMAGED", message });
  });

  test("that is a folder, a device or a link to itself is refused at once", async () => {
    await expect(readJson(format, folder)).rejects.toMatchObject({ code: "FILE_REFUSED" });
    await expect(readJson(format, "/dev/zero")).rejects.toMatchObject({ code: "FILE_REFUSED" });
    const link = join(folder, "link");
    symlinkSync(link, link);
    await expect(readJson(format, link)).rejects.toMatchObject({ code: "FILE_REFUSED" });
  });
});

describe("files", () => {
  let folder: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "pareto-files-"));
  });

  afterAll(() => rmSync(folder, { recursive: true }));

  test("are written whole, with the folders above them, and read back", async () => {
    const path = join(folder, "new", "box.json");
    expect(await fileExists(path)).toBe(false);
    await writeJson(path, { sides: [1] });
    expect(await fileExists(path)).toBe(true);
    expect(await readText(path)).toBe('{\n  "sides": [\n    1\n  ]\n}\n');
    await writeText(path, "é");
    expect(await readTextIfExists(path)).toBe("é");
    expect(readdirSync(join(folder, "new"))).toEqual(["box.json"]);
  });

  test("that are not there are null, or an error by name; what cannot be read is an error", async () => {
    const path = join(folder, "missing.json");
    expect(await readTextIfExists(path)).toBeNull();
    await writeText(join(folder, "file"), "");
    expect(await readTextIfExists(join(folder, "file", "below"))).toBeNull();
    await expect(readText(path)).rejects.toMatchObject({ code: "FILE_MISSING", where: path });
    await expect(readTextIfExists(folder)).rejects.toMatchObject({ code: "FILE_REFUSED", where: folder });
    await expect(writeText(folder, "x")).rejects.toMatchObject({ code: "FILE_REFUSED" });
  });
});
