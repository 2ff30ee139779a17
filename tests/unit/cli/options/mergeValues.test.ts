import { describe, expect, it } from "vitest";
import { z } from "zod";
import { byteSize, choice, decimal, listOf, wholeNumber } from "../../../../src/base/optionSchemas.ts";
import { configSchema } from "../../../../src/cli/options/configFile.ts";
import { mergeValues, readValue } from "../../../../src/cli/options/mergeValues.ts";
import {
  flag,
  flagName,
  listWords,
  operand,
  option,
  optionText,
  pathList,
  required,
  syntax,
  text,
  words,
} from "../../../../src/cli/options/spec.ts";

const table = {
  source: operand("source", pathList, { meaning: "Files", rest: true }),
  epochs: option("n", wholeNumber({ min: 1 }), { meaning: "Passes", default: 3 }),
  hotBudget: option("size", byteSize(), {
    meaning: "Memory",
    unit: "bytes",
    default: 2 ** 20,
    defaultText: "1MiB",
  }),
  top: option("widths", listOf(wholeNumber({ min: 1 })), { meaning: "Widths", default: [8, 4] }),
  device: option("name", choice(["cpu", "cuda"]), { meaning: "Device", default: "cpu" }),
  lr: option("x", decimal({ above: 0 }), { meaning: "Rate", defaultText: "the optimizer's" }),
  out: required("file", text, { meaning: "File to write" }),
  strict: flag("Test on nothing seen"),
  header: flag("Whether there is a header", true),
};
const file = (values: Record<string, unknown>) => ({ path: "run.json", values });
const flags = { source: ["a.csv"], out: "o.csv" };

describe("values", () => {
  it("are the defaults, then the file's, then the command line's", () => {
    const { values, given } = mergeValues(
      table,
      { ...flags, epochs: 9 },
      file({ epochs: 5, hotBudget: "2KiB", top: [16], strict: true, header: false, out: "f.csv" }),
    );
    expect(values).toEqual({
      source: ["a.csv"],
      epochs: 9,
      hotBudget: 2048,
      top: [16],
      device: "cpu",
      lr: undefined,
      out: "o.csv",
      strict: true,
      header: false,
    });
    expect([...given].sort()).toEqual(["epochs", "header", "hotBudget", "out", "source", "strict", "top"]);
  });

  it("may all come from the file", () => {
    const { values } = mergeValues(table, {}, file({ source: "one.csv", out: "f.csv", top: "32,16" }));
    expect(values).toMatchObject({ source: ["one.csv"], out: "f.csv", top: [32, 16] });
  });

  it.each([
    ["--out <file>", { source: ["a"] }, "--out"],
    ["<source...>", { out: "a" }, "source"],
  ])("ask for %s where it is missing", (shown, given, where) => {
    expect(() => mergeValues(table, given, null)).toThrow(
      expect.objectContaining({ code: "CLI_MISSING", where, fix: expect.stringContaining(shown) }),
    );
  });

  it.each([
    ["an unknown key", { epoch: 1 }, "epoch", /"epoch"$/, /"epochs"/],
    ["an option's flag for its name", { "hot-budget": 1 }, "hot-budget", /"hot-budget"$/, /"hotBudget"/],
    ["a word for a number", { epochs: "three" }, "epochs", /whole number of at least 1.*"three"$/, /epochs/],
    ["a number out of its limits", { epochs: 0 }, "epochs", /at least 1.*0$/, /epochs/],
    ["another word", { device: "cdua" }, "device", /cpu, cuda.*"cdua"$/, /cpu/],
    ["a list with a wrong item", { top: [8, "x"] }, "top", /whole number.*\[8,"x"\]$/, /top/],
    ["text for yes or no", { strict: "true" }, "strict", /true or false.*"true"$/, /strict/],
    ["nothing", { lr: null }, "lr", /number above 0.*null$/, /lr/],
  ])("refuse %s of a file, with file, key, value and fix", (_, values, key, message, fix) => {
    expect(() => mergeValues(table, flags, file(values))).toThrow(
      expect.objectContaining({
        code: "CLI_CONFIG",
        where: `run.json: ${key}`,
        message: expect.stringMatching(message),
        fix: expect.stringMatching(fix),
      }),
    );
  });

  it("are refused by the flag's name on the command line", () => {
    expect(() => readValue(table.lr, "-1", "--lr", "--lr", "CLI_OPTION")).toThrow(
      expect.objectContaining({ code: "CLI_OPTION", where: "--lr", message: expect.stringMatching(/"-1"$/) }),
    );
  });
});

describe("an option's text", () => {
  it.each([
    ["epochs", "Passes. Defaults to 3."],
    ["hotBudget", "Memory, in bytes. Defaults to 1MiB."],
    ["top", "Widths. Defaults to 8,4."],
    ["lr", "Rate. Defaults to the optimizer's."],
    ["out", "File to write. Required."],
    ["strict", "Test on nothing seen. Defaults to off."],
  ] as const)("of %s states meaning, unit and default", (name, shown) =>
    expect(optionText(table[name])).toBe(shown),
  );

  it.each([
    ["hotBudget", "--hot-budget <size>"],
    ["strict", "--strict"],
    ["header", "--no-header"],
    ["source", "<source...>"],
  ] as const)("shows %s as %s", (name, shown) => expect(syntax(name, table[name])).toBe(shown));

  it("lists words with what they mean", () => {
    const explained = { cpu: "", cuda: "an NVIDIA GPU" } as const;
    expect(listWords(explained)).toBe("cpu or cuda (an NVIDIA GPU)");
    expect(words(explained).options).toEqual(["cpu", "cuda"]);
    expect(flagName("maxNewTokens")).toBe("--max-new-tokens");
  });
});

it("describes the file by a JSON Schema that accepts what the command does", () => {
  const schema = configSchema("pareto test", table) as {
    properties: Record<string, Record<string, unknown>>;
  };
  expect(schema).toMatchObject({ title: "pareto test", additionalProperties: false });
  expect(Object.keys(schema.properties)).toEqual(["$schema", ...Object.keys(table)]);
  expect(schema.properties["hotBudget"]).toMatchObject({
    description: "Memory, in bytes. Defaults to 1MiB.",
    default: 2 ** 20,
    anyOf: [{ type: "integer" }, { type: "string" }],
  });
  expect(schema.properties["device"]).toMatchObject({ enum: ["cpu", "cuda"], default: "cpu" });
  const read = z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0]);
  expect(read.safeParse({ epochs: 3, top: [1, 2], strict: true }).success).toBe(true);
  expect(read.safeParse({ epoch: 3 }).success).toBe(false);
});
