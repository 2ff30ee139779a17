import { describe, expect, it } from "vitest";
import type { z } from "zod";
import {
  byteSize,
  choice,
  decimal,
  listOf,
  onOff,
  shareOrCount,
  wholeNumber,
} from "../../../src/base/optionSchemas.ts";

const reads: [string, z.ZodType, unknown, unknown][] = [
  ["a count", wholeNumber({ min: 1 }), "1_000", 1000],
  ["a count as a number", wholeNumber({ min: 1 }), 3, 3],
  ["a decimal", decimal({ above: 0 }), "1e-3", 0.001],
  ["bytes with a unit", byteSize(), "1.5 GiB", 1.5 * 2 ** 30],
  ["bytes without", byteSize(), "4096", 4096],
  ["a percentage", shareOrCount(), "12.5%", { share: 0.125 }],
  ["a count where a share may stand", shareOrCount(), 64, { count: 64 }],
  ["a word", choice(["a", "b"]), "b", "b"],
  ["a switch", onOff(), "no", false],
  ["a list", listOf(wholeNumber({ min: 1 })), "512, 256", [512, 256]],
  ["a list from JSON", listOf(wholeNumber({ min: 1 })), [512, "256"], [512, 256]],
];
const refuses: [string, z.ZodType, unknown][] = [
  ["a fraction", wholeNumber(), "1.5"],
  ["an empty text", wholeNumber(), ""],
  ["hexadecimal", wholeNumber(), "0x10"],
  ["a point alone", decimal(), "."],
  ["infinity", decimal(), "1e999"],
  ["too little", wholeNumber({ min: 1 }), "0"],
  ["the limit itself", decimal({ above: 0 }), "0"],
  ["an unknown unit", byteSize(), "3 parsecs"],
  ["no bytes", byteSize(), "0"],
  ["more than all", shareOrCount(), "101%"],
  ["another word", choice(["a", "b"]), "c"],
  ["a number for a switch", onOff(), 1],
  ["an item of a list", listOf(wholeNumber({ min: 1 })), "512,x"],
];

describe("option values", () => {
  it.each(reads)("read %s", (_, schema, given, value) => expect(schema.parse(given)).toEqual(value));
  it.each(refuses)("refuse %s", (_, schema, given) => expect(schema.safeParse(given).success).toBe(false));
});
