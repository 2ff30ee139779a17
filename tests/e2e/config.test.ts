/** @file Help, `--config` and `--config-schema` of every command, as a user runs them. */
import { writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { allCommands } from "../../src/cli/commandTree.ts";
import { commonOptions } from "../../src/cli/options/common.ts";
import { syntax } from "../../src/cli/options/spec.ts";
import { jsonLines, Workspace } from "./cli.ts";

const commands = await allCommands();
let work: Workspace;
beforeAll(async () => {
  work = await Workspace.create();
});
afterAll(() => work?.remove());

const config = (name: string, content: unknown) =>
  writeFile(work.path(name), typeof content === "string" ? content : JSON.stringify(content));
const SYNTH = ["recsys", "synth", "--config", "c.json"];

describe.each(commands)("$name", ({ name, command }) => {
  const args = name.split(" ").slice(1);

  it("has help in one form: meaning, unit and default of every option, on stdout", async () => {
    const { status, stdout, stderr } = await work.run([...args, "--help"]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(100);
    const text = stdout.replaceAll(/\s+/g, " ");
    for (const [key, option] of Object.entries({
      ...command.operands,
      ...command.options,
      ...commonOptions,
    })) {
      const shown = option.operand === null ? syntax(key, option) : option.placeholder!;
      expect(option.meaning, key).toMatch(/^[A-Z][^]*[^.]$/);
      expect(text, key).toContain(`${shown} ${option.meaning}`);
      expect(text, key).toContain(
        option.defaultText === null ? "Required." : `Defaults to ${option.defaultText}.`,
      );
    }
  });

  it("refuses a key that it does not have", async () => {
    await config("unknown.json", { frob: 1 });
    const { status, stdout } = await work.run([...args, "--config", "unknown.json", "--json"]);
    expect(status).toBe(2);
    expect(jsonLines(stdout).at(-1)).toMatchObject({
      event: "error",
      code: "CLI_CONFIG",
      where: "unknown.json: frob",
    });
  });
});

describe("a configuration file", () => {
  it("gives options and operands, under those of the command line", async () => {
    await config("c.json", { $schema: "./schema.json", rows: "1_000", seed: 4, out: "file.parquet" });
    const { done } = await work.json([...SYNTH, "--rows", "500", "--out", "flag.parquet"]);
    const plain = await work.json(["recsys", "synth", "--rows", "500", "--seed", "4", "--out", "p.parquet"]);
    expect(done).toEqual({ ...plain.done, file: done["file"] });
    await config("classify.json", { source: "x.fa", header: false });
    await writeFile(work.path("x.fa"), ">a\nMKVLATAGERWDSTNPQHYFCI\n");
    const { status, stdout } = await work.run([
      "protein",
      "classify",
      "--config",
      "classify.json",
      "--quiet",
    ]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^a\t22\t/);
  });

  it.each([
    ["a nearest name for an unknown key", { row: 5 }, /c\.json: row/, /"row"$/, /"rows"/],
    ["a wrong type", { rows: [5] }, /c\.json: rows/, /a whole number of at least 1.*\[5\]$/, /\S/],
    ["a wrong value", { preset: "kagle" }, /c\.json: preset/, /small, kaggle, avazu.*"kagle"$/, /kaggle/],
    ["no object", [1], /^c\.json$/, /expected object, got \[1\]$/, /--config-schema/],
    ["no JSON", "{ rows: 5 }", /^c\.json$/, /is not JSON .*, got .*/, /--config-schema/],
  ])("is refused with %s", async (_, content, where, message, fix) => {
    await config("c.json", content);
    const { status, stdout } = await work.run([...SYNTH, "--out", "never.parquet", "--json"]);
    expect(status).toBe(2);
    expect(jsonLines(stdout).at(-1)).toMatchObject({
      code: "CLI_CONFIG",
      where: expect.stringMatching(where),
      message: expect.stringMatching(message),
      fix: expect.stringMatching(fix),
    });
  });

  it("is refused where it is missing", async () => {
    const { status, stdout } = await work.run(["doctor", "--config", "none.json", "--json"]);
    expect(status).toBe(2);
    expect(jsonLines(stdout).at(-1)).toMatchObject({ code: "FILE_MISSING", where: "none.json" });
  });

  it("is described by --config-schema, without required options", async () => {
    const { status, stdout } = await work.run(["recsys", "synth", "--config-schema"]);
    expect(status).toBe(0);
    const { properties, additionalProperties } = JSON.parse(stdout) as Record<string, object>;
    expect(additionalProperties).toBe(false);
    expect(properties).toMatchObject({
      preset: { enum: ["small", "kaggle", "avazu"], default: "small" },
      rows: { default: 1_000_000 },
    });
  });
});

it.each([
  ["a folder for a file", ["recsys", "synth", "--out", "tmp"], "FILE_REFUSED"],
  ["a file for a folder", ["llm", "evaluate", "--out", "x.fa/run"], "RUN_EXISTS"],
  [
    "where nothing can be made",
    ["llm", "generate", "--prompt", "a", "--decisions", "/proc/none/d"],
    "FILE_REFUSED",
  ],
])("a command refuses %s before it starts", async (_, args, code) => {
  await writeFile(work.path("x.fa"), "x");
  const { status, stdout } = await work.run([...args, "--json"]);
  expect(status).toBe(2);
  expect(jsonLines(stdout)).toEqual([expect.objectContaining({ event: "error", code })]);
});
