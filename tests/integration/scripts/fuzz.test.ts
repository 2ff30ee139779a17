/** @file The fuzzer finds what readers do wrong, keeps the input, and finds nothing in the readers of Pareto. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fuzzReader, type FuzzOutcome } from "../../../scripts/fuzz/fuzzReader.ts";
import { FUZZ_TARGETS } from "../../../scripts/fuzz/targets.ts";
import { fuzzTarget } from "../../support/fuzz/faultyTargets.ts";

let failures: string;
beforeAll(async () => {
  failures = await mkdtemp(join(tmpdir(), "pareto-fuzz-test-"));
});
afterAll(() => rm(failures, { recursive: true, force: true }));

describe("a reader at fault", () => {
  const module = new URL("../../support/fuzz/faultyTargets.ts", import.meta.url);
  const fuzz = (name: string, inputs: number): Promise<FuzzOutcome> =>
    fuzzReader(fuzzTarget(name), {
      seed: 1,
      inputs,
      seconds: 60,
      failures,
      module,
      memoryBytes: 100 * 2 ** 20,
    });

  it("passes when it refuses changed files by errors of Pareto", async () => {
    expect(await fuzz("none", 50)).toEqual({ target: "none", inputs: 50, faults: [] });
  });

  it.each([
    ["untyped", /^TypeError: it is null/],
    ["internal", /^INTERNAL: it is refused/],
    ["late", /^unhandledRejection: Error: nobody waits/],
    ["memory", /^memory grew from \d+ to \d{3,} MiB/],
    ["heap", /^the thread ended: .*memory/],
    ["hang", /^no end after 5 s/],
  ])("is found out: %s", async (name, text) => {
    // The first input is the seed, the second changes it.
    const { inputs, faults } = await fuzz(name, 2);
    expect(inputs).toBe(2);
    expect(faults).toMatchObject([{ target: name, input: 2, text: expect.stringMatching(text) }]);
    const input = await readFile(join(faults[0]!.folder, "file.txt"), "utf8");
    expect(input).not.toBe("abcd");
    expect(await readFile(join(faults[0]!.folder, "fault.txt"), "utf8")).toMatch(text);
  });

  it("is given up after 20 faults, and goes on behind each before", async () => {
    const { inputs, faults } = await fuzz("untyped", 1000);
    expect(faults).toHaveLength(20);
    expect(new Set(faults.map(({ input }) => input)).size).toBe(20);
    expect(inputs).toBeLessThan(1000);
  });
});

/** Readers that open a database for each input. */
const SLOW = new Set(["csv", "json-lines", "criteo", "parquet", "run"]);

describe("the readers of Pareto", () => {
  it.each(FUZZ_TARGETS.map((target) => [target.name, target] as const))("%s", async (name, target) => {
    const inputs = SLOW.has(name) ? 10 : 200;
    const { inputs: read, faults } = await fuzzReader(target, { seed: 7, inputs, seconds: 60, failures });
    expect(faults.map(({ input, text }) => `${input}: ${text}`)).toEqual([]);
    expect(read).toBe(inputs);
  });
});
