/** @file The harness of the benchmarks: how rows read, what a failure reads like, what the command refuses. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { areaNames, loadArea } from "../../../bench/harness/areas.ts";
import { runAlone } from "../../../bench/harness/alone.ts";
import { attempt, benchTable, collectRows, failedRow } from "../../../bench/harness/rows.ts";
import { processOf } from "../../support/processOf.ts";
import { ParetoError } from "../../../src/base/errors.ts";

const row = {
  case: "copy",
  size: "1 GiB",
  milliseconds: 0.71,
  figure: "3,000 GB/s",
  limit: "3,100 GB/s",
  ratio: 0.9677,
  target: "≥ 0.85",
  met: true,
};

test("a table has a line a row, in columns that line up, with what was met and missed", () => {
  const failed = failedRow("rows", new ParetoError({ code: "X", where: "x", message: "no", fix: "f" }));
  const lines = benchTable([row, { ...row, ratio: 0.5, met: false }, failed]);
  expect(lines).toHaveLength(5);
  expect(lines[2]).toMatch(/^copy +\| 1 GiB \| 0\.71 +\| 3,000 GB\/s \| .* \| 0\.97 +\| ≥ 0\.85 \| met$/);
  expect(lines[3]).toMatch(/\| 0\.50 +\| ≥ 0\.85 \| MISSED$/);
  expect(lines[4]).toMatch(/^rows \| +\| – +\| failed +\| X: no +\| – +\| +\| MISSED$/);
  const columns = (line: string) => [...line.matchAll(/ \| /g)].map(({ index }) => index).slice(0, 6);
  for (const line of lines) expect(columns(line)).toEqual(columns(lines[0]!));
});

test("a row that throws becomes a missed row and does not end the others", async () => {
  const found = await attempt("attention", () => Promise.reject(new Error("first line\nsecond line")));
  expect(found).toMatchObject({
    case: "attention",
    figure: "failed",
    limit: "Error: first line",
    met: false,
  });
  expect(await attempt("copy", async () => row)).toBe(row);
});

test("rows that came before a failure stay", async () => {
  async function* rows() {
    yield row;
    throw new Error("the device is gone");
  }
  const found = await collectRows("memory", rows());
  expect(found).toHaveLength(2);
  expect(found[0]).toBe(row);
  expect(found[1]).toMatchObject({ case: "memory", limit: "Error: the device is gone", met: false });
});

test("a function runs in a process of its own", async () => {
  const module = import.meta.resolve("../../support/processOf.ts");
  const found = await runAlone(module, processOf, ["é\n"]);
  expect(found.text).toBe("é\n");
  expect(found.pid).not.toBe(process.pid);
});

test("every file bench/AREA.bench.ts is an area that says what it is", async () => {
  const names = await areaNames();
  expect(names).toEqual(
    expect.arrayContaining(["cuda", "faeParity", "llm", "llmQuality", "protein", "recsys"]),
  );
  for (const name of names) {
    const { about, cost, groups = [] } = await loadArea(name);
    expect(about, name).toMatch(/\.$/);
    expect(cost, name).toMatch(/\.$/);
    expect(new Set(groups).size, name).toBe(groups.length);
  }
});

const bench = (...options: string[]) => {
  const main = fileURLToPath(new URL("../../../bench/main.ts", import.meta.url));
  const env = { ...process.env, CUDA_VISIBLE_DEVICES: "" };
  return promisify(execFile)(process.execPath, [main, ...options], { env });
};

test("without an area, the bench lists them", async () => {
  const { stdout } = await bench();
  for (const name of await areaNames()) expect(stdout).toMatch(new RegExp(`^  ${name} +\\S`, "m"));
  expect((await bench("llm", "--help")).stdout).toMatch(/--only VALUE .*cpu, decode, prompt/);
});

test.each([
  [["training"], /no benchmark has this name; use one of: .*; got "training"/],
  [["llm", "--only", "decode,none"], /no group has this name; use: .*; got "none"/],
  [["llm", "--threads", "0"], /--threads must be a whole number from 1, got "0"/],
  [["proteinUnknown"], /--sources: give .*, got none/],
  [["llm", "--sources", "x"], /Unknown option '--sources'/],
  [["cuda"], /^cuda cannot be measured here: .+\. (Install|Check) .+/],
])("%j is refused with status 2", async (options, message) => {
  await expect(bench(...options)).rejects.toMatchObject({
    code: 2,
    stdout: "",
    stderr: expect.stringMatching(message),
  });
});
