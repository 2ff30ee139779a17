/** @file One way to read and to refuse JSON files. */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { fileExists, readText, readTextIfExists, writeText } from "../../../src/base/files.ts";
import { checkJson, parseJson, writeJson, type JsonFormat } from "../../../src/base/jsonFile.ts";

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
    ["no JSON", "{sides", "the box cannot be used: box.json is not JSON (", ', got "{sides"'],
    ["null", "null", 'the box cannot be used: box.json is wrong at ""', ", got Invalid input"],
    [
      "another schema",
      '{"version": 2, "sides": [{"length": "1"}]}',
      'the box cannot be used: box.json is wrong at "sides.0.length", got ',
      "expected number, received string",
    ],
    ["an older version", '{"version": 1, "sides": []}', 'box.json is wrong at "version"', ", got "],
  ])("is refused as damaged when it holds %s", (_, text, start, end) => {
    expect(() => parseJson(format, "a/box.json", text)).toThrow(
      expect.objectContaining({
        code: "BOX_DAMAGED",
        where: "a/box.json",
        fix: "Make another box.",
        message: expect.stringContaining(start),
      }),
    );
    expect(() => parseJson(format, "a/box.json", text)).toThrow(end);
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
      expect.objectContaining({ code: "BOX_DAMAGED", message: expect.stringContaining('at "sides"') }),
    );
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
