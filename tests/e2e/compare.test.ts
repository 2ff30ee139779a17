/** @file `pareto recsys compare`: the table, files and report; going on after a signal and after a kill; bad input. */
import { readdir, readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { jsonLines, SMALL, Workspace, type JsonLine } from "./cli.ts";

const [model, ...rest] = [SMALL[SMALL.indexOf("--model") + 1]!, ...SMALL];
const OPTIONS = [
  ...rest.filter((word) => word !== "--model" && word !== model),
  "--models",
  model,
  "--label",
  "label",
  "--time",
  "time",
];
const STRATEGIES = ["--strategies", "baseline", "fae:budget=200KiB,sample=1"];
const compare = (...more: string[]) => [
  "recsys",
  "compare",
  "log.parquet",
  ...OPTIONS,
  ...STRATEGIES,
  ...more,
];

interface Entry {
  name: string;
  runs: { seed: number; folder: string; figures: Record<string, number | null> }[];
  against: Record<string, { isSignificant: boolean | null } | null>;
}
const entriesOf = (done: JsonLine) => done["entries"] as Entry[];

let work: Workspace;
beforeAll(async () => {
  work = await Workspace.create();
  await work.json(["recsys", "synth", "--rows", "3000", "--seed", "3", "--out", "log.parquet"]);
});
afterAll(() => work?.remove());

describe("a comparison", () => {
  it("trains everything with every seed, and leaves tables, a report and a folder for each run", async () => {
    const { status, stdout, stderr } = await work.run(compare("--seeds", "2", "--out", "whole", "--quiet"));
    expect(status, stderr).toBe(0);
    expect(stdout).toContain("means over 2 seeds");
    expect(stdout).toMatch(/^baseline .*\n^fae /m);
    expect(stdout).toMatch(/no significant difference|better|worse/);
    expect((await readdir(work.path("whole", "runs"))).sort()).toEqual([
      "1-dlrm-baseline-seed1",
      "1-dlrm-baseline-seed2",
      "2-dlrm-fae-seed1",
      "2-dlrm-fae-seed2",
    ]);
    const csv = await readFile(work.path("whole", "runs.csv"), "utf8");
    expect(csv.trimEnd().split("\n")).toHaveLength(5);
    const page = await readFile(work.path("whole", "report.html"), "utf8");
    expect(page).toContain("runs/2-dlrm-fae-seed2/report.html");
    await readFile(work.path("whole", "runs", "2-dlrm-fae-seed2", "report.html"), "utf8");
    const again = await work.json(["report", "whole"]);
    expect(again.done["report"]).toBe("whole/report.html");
  });

  it("gives runs that are those of `recsys train`", async () => {
    const { done } = await work.json([
      "recsys",
      "train",
      "log.parquet",
      "--label",
      "label",
      "--time",
      "time",
      ...SMALL,
      "--seed",
      "2",
      "--out",
      "alone",
    ]);
    const result = JSON.parse(await readFile(work.path("whole", "result.json"), "utf8")) as {
      entries: Entry[];
    };
    expect(result.entries[0]!.runs[1]!.figures["auc"]).toBe(done["auc"]);
    expect(await work.tensorsHash("whole/runs/1-dlrm-baseline-seed2")).toBe(await work.tensorsHash("alone"));
  });

  it("takes more seeds later, and runs nothing again", async () => {
    const before = await work.snapshot("whole/runs");
    const { done, lines } = await work.json([
      "recsys",
      "compare",
      "--resume",
      "whole",
      "--seeds",
      "3",
      "--cache",
      "cache",
    ]);
    expect(entriesOf(done).map(({ runs }) => runs.map(({ seed }) => seed))).toEqual([
      [1, 2, 3],
      [1, 2, 3],
    ]);
    const after = await work.snapshot("whole/runs");
    expect(after).toMatchObject(before);
    const trained = lines.filter((line) => line["code"] === "COMPARE_RUN");
    expect(trained).toHaveLength(2);
  });
});

describe("a comparison that is stopped", () => {
  /** Starts one, and sends a signal when its third run trains. */
  async function stopped(out: string, signal: NodeJS.Signals) {
    const { child, done } = work.start([
      ...compare("--seeds", "2", "--epochs", "40", "--out", out),
      "--json",
    ]);
    let seen = "";
    await new Promise<void>((resolve) => {
      child.stdout!.on("data", (text: string) => {
        seen += text;
        if (/run 3 of 4[^]*"part":"train","epoch":3/.test(seen)) resolve();
      });
      child.on("close", () => resolve());
    });
    child.kill(signal);
    return done;
  }

  it.each(["SIGINT", "SIGKILL"] as const)("by %s goes on where it was", async (signal) => {
    const out = `stopped-${signal}`;
    const { status, stdout, stderr } = await stopped(out, signal);
    if (signal === "SIGINT") {
      expect(status, stderr).toBe(130);
      expect(jsonLines(stdout).at(-1)).toMatchObject({ event: "done", finished: false, run: out });
      expect(stderr).toContain(`pareto recsys compare --resume ${out}`);
    }
    const { done, lines } = await work.json(["recsys", "compare", "--resume", out, "--cache", "cache"]);
    expect(done["finished"]).toBe(true);
    expect(lines.filter((line) => line["code"] === "COMPARE_RUN").map((line) => line["message"])).toEqual([
      "run 3 of 4: fae, seed 2",
      "run 4 of 4: baseline, seed 2",
    ]);
    expect(lines.some(({ event }) => event === "resumed")).toBe(true);
    expect(entriesOf(done).every(({ runs }) => runs.length === 2)).toBe(true);
  });
});

describe("bad input", () => {
  const refused: [string, string[], RegExp][] = [
    ["a strategy that is not known", ["--strategies", "baseline", "faa"], /POLICY_UNKNOWN.*\n.*--strategies/],
    [
      "two strategies that mean the same",
      ["--strategies", "fae:budget=1MiB", "fae:budget=1048576"],
      /CLI_OPTION/,
    ],
    ["a model that is not known", ["--models", "dlrn"], /MODEL_UNKNOWN/],
    ["a device without the strategy's memory", ["--placement", "device"], /TRAIN_PLACEMENT/],
    ["no seeds", ["--seeds", "0"], /CLI_OPTION.*seeds/],
    ["a folder that holds something", ["--out", "tmp/.."], /RUN_EXISTS/],
  ];
  it.each(refused)("%s is refused before anything is made", async (_, more, error) => {
    const before = (await readdir(work.directory)).sort();
    const { status, stderr } = await work.run(["recsys", "compare", "log.parquet", ...OPTIONS, ...more]);
    expect(status).toBe(2);
    expect(stderr).toMatch(error);
    expect((await readdir(work.directory)).sort()).toEqual(before);
  });

  it("refuses other options beside --resume, and folders of other runs", async () => {
    const other = await work.run(["recsys", "compare", "--resume", "whole", "--epochs", "3"]);
    expect([other.status, other.stderr]).toEqual([2, expect.stringMatching(/CLI_OPTION[^]*epochs/)]);
    const run = await work.run(["recsys", "compare", "--resume", "alone"]);
    expect([run.status, run.stderr]).toEqual([2, expect.stringMatching(/RUN_COMMAND/)]);
    const train = await work.run(["recsys", "train", "--resume", "whole"]);
    expect([train.status, train.stderr]).toEqual([
      2,
      expect.stringMatching(/pareto recsys compare --resume/),
    ]);
  });
});
