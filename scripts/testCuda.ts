/**
 * @file Every test that touches the `cuda` target, on a machine that has a GPU: parity with `reference`, the DLRM
 * golden run, placements, the driver. Where there is none it fails; `npm test` skips what needs one.
 *
 * Run: `npm run test:cuda -- [--out FILE] [--commit TEXT]`. Counts by file go to `bench/results/cuda-parity-DATE.json`
 * unless told, with the device, the date and the commit.
 */
import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { parseArgs } from "node:util";
import { describeGpu } from "../bench/harness/gpu.ts";
import { commit } from "../bench/harness/machine.ts";
import { ParetoError } from "../src/base/errors.ts";

/** Folders of tests that run; of the first, those of this target count, which name it. */
const FOLDERS = ["tests/parity", "tests/unit/engine/targets/cuda", "tests/e2e/doctorCuda"];
/** Paths of files all of whose tests count. */
const OWN = /engine\/targets\/cuda\/|parity\/recsys\/placement\/|Cuda/;

/** Results as vitest's JSON reporter writes them. */
interface Report {
  success: boolean;
  testResults: {
    name: string;
    status: string;
    message: string;
    assertionResults: { fullName: string; status: string; failureMessages?: string[] }[];
  }[];
}

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

const root = dirname(import.meta.dirname);
const { values: flags } = parseArgs({ options: { out: { type: "string" }, commit: { type: "string" } } });

/** Runs vitest on the files. */
async function runTests(): Promise<Report> {
  const directory = await mkdtemp(join(tmpdir(), "pareto-cuda-"));
  try {
    const file = join(directory, "report.json");
    const reporters = ["--reporter=dot", "--reporter=json", `--outputFile.json=${file}`];
    const vitest = join(root, "node_modules", "vitest", "vitest.mjs");
    const command = [vitest, "run", "--testTimeout=240000", ...reporters, ...FOLDERS];
    const { error } = spawnSync(process.execPath, command, {
      cwd: root,
      stdio: "inherit",
      env: { ...process.env, NO_COLOR: "1" },
    });
    if (error) throw error;
    return JSON.parse(await readFile(file, "utf8")) as Report;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Tests of this target by file. */
function summarise({ testResults }: Report) {
  const files: Record<string, Counts> = {};
  const failures: string[] = [];
  for (const { name, status, message, assertionResults } of testResults) {
    const file = relative(root, name);
    const isOwn = OWN.test(file);
    const tests = assertionResults.filter(({ fullName }) => isOwn || fullName.includes("cuda"));
    // A file that does not even load has no tests to fail.
    if (status === "failed" && assertionResults.length === 0) {
      failures.push(`${file}: ${message.split("\n")[0]}`);
      files[file] = { passed: 0, failed: 1, skipped: 0 };
      continue;
    }
    if (tests.length === 0) continue;
    const count = (wanted: (status: string) => boolean) => tests.filter((t) => wanted(t.status)).length;
    files[file] = {
      passed: count((s) => s === "passed"),
      failed: count((s) => s === "failed"),
      skipped: count((s) => s !== "passed" && s !== "failed"),
    };
    for (const { status: state, fullName, failureMessages } of tests) {
      if (state !== "failed") continue;
      const [reason = ""] = (failureMessages?.[0] ?? "").split("\n");
      failures.push(`${file}: ${fullName}: ${reason.slice(0, 200)}`);
    }
  }
  const total = (kind: keyof Counts) => Object.values(files).reduce((sum, counts) => sum + counts[kind], 0);
  return { passed: total("passed"), failed: total("failed"), skipped: total("skipped"), files, failures };
}

try {
  const gpu = await describeGpu();
  const report = await runTests();
  const summary = summarise(report);
  const date = new Date().toISOString();
  const record = { gpu, node: process.version, date, commit: flags.commit ?? commit(), ...summary };
  const out = flags.out ?? join(root, "bench", "results", `cuda-parity-${date.slice(0, 10)}.json`);
  await writeFile(out, `${JSON.stringify(record, null, 2)}\n`);
  const { passed, failed, skipped, failures } = summary;
  for (const failure of failures) console.log(`FAILED ${failure}`);
  console.log(`${gpu.name}: ${passed} tests passed, ${failed} failed, ${skipped} skipped; written to ${out}`);
  if (failed > 0 || passed === 0) process.exitCode = 1;
} catch (error) {
  if (!(error instanceof ParetoError)) throw error;
  console.error(`These tests need an NVIDIA GPU: ${error.message}. ${error.fix}`);
  process.exitCode = 1;
}
