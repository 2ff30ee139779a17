/** @file Ctrl-C in the middle of training, and going on: the final weights are those of a run without a stop. */
import { readdir, readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readRun } from "../../src/run/readRun.ts";
import { jsonLines, SMALL, Workspace } from "./cli.ts";

const STRATEGIES = {
  baseline: ["--strategy", "baseline"],
  // Small enough that some inputs are cold.
  fae: ["--strategy", "fae:budget=500KiB,sample=1"],
};
type Strategy = keyof typeof STRATEGIES;
const NAMES = Object.keys(STRATEGIES) as Strategy[];

let work: Workspace;
beforeAll(async () => {
  work = await Workspace.create();
  await work.json(["recsys", "synth", "--rows", "4000", "--seed", "3", "--out", "log.parquet"]);
});
afterAll(() => work?.remove());

const start = (strategy: Strategy, out: string) => [
  "recsys",
  "train",
  "log.parquet",
  "--label",
  "label",
  "--time",
  "time",
  ...SMALL,
  ...STRATEGIES[strategy],
  "--batch-size",
  "16",
  "--epochs",
  "8",
  "--patience",
  "8",
  "--out",
  out,
];

/** Starts a run, and sends it the signal once it is in its second epoch, long before the end. */
async function stopped(strategy: Strategy, out: string, signal: NodeJS.Signals): Promise<void> {
  const { child, done } = work.start([...start(strategy, out), "--json"]);
  let seen = "";
  await new Promise<void>((resolve) => {
    child.stdout!.on("data", (text: string) => {
      seen += text;
      if (/"part":"train","epoch":1/.test(seen)) resolve();
    });
    child.on("close", () => resolve());
  });
  child.kill(signal);
  const { status, stdout, stderr } = await done;
  expect(status, stderr).toBe(130);
  expect(jsonLines(stdout).at(-1)).toMatchObject({ event: "done", finished: false, auc: null, run: out });
  expect(stderr).toContain(`pareto recsys train --resume ${out}`);
  const record = JSON.parse(await readFile(work.path(out, "run.json"), "utf8")) as { status: string };
  expect(record.status).toBe("interrupted");
}

describe.each(NAMES)("a stopped run under %s", (strategy) => {
  it("goes on to the very weights of an uninterrupted one, on any number of threads", async () => {
    const { done: whole } = await work.json(start(strategy, `${strategy}-whole`));
    if (strategy === "fae") {
      const { inputShare } = whole["hot"] as { inputShare: number };
      expect(inputShare).toBeGreaterThan(0);
      expect(inputShare).toBeLessThan(1);
    }
    for (const [threads, signal] of [
      ["2", "SIGINT"],
      ["1", "SIGTERM"],
    ] as const) {
      const out = `${strategy}-${threads}`;
      await stopped(strategy, out, signal);
      const half = await work.tensorsHash(out);
      const { done } = await work.json([
        "recsys",
        "train",
        "--resume",
        out,
        "--cache",
        "cache",
        "--threads",
        threads,
      ]);
      for (const name of ["auc", "logLoss", "accuracy", "steps", "epochs", "rows"])
        expect(done[name], name).toEqual(whole[name]);
      expect(await work.tensorsHash(out)).not.toBe(half);
      for (const name of ["last", "best"])
        expect(await work.tensorsHash(out, name)).toBe(await work.tensorsHash(`${strategy}-whole`, name));
    }
  });
});

describe("a run", () => {
  it("saved under FAE goes on as baseline", async () => {
    await stopped("fae", "moved", "SIGINT");
    const { lines, done } = await work.json([
      "recsys",
      "train",
      "--resume",
      "moved",
      "--cache",
      "cache",
      "--strategy",
      "baseline",
    ]);
    expect(done).toMatchObject({ finished: true, strategy: "baseline", hot: null, epochs: 8 });
    expect(JSON.stringify(lines)).toContain("RESUME_STRATEGY");
  });

  it("that has ended says its figures again when resumed, and changes no weight", async () => {
    const before = await work.tensorsHash("moved");
    const { done } = await work.json(["recsys", "train", "--resume", "moved", "--cache", "cache"]);
    const stored = JSON.parse(await readFile(work.path("moved", "result.json"), "utf8")) as object;
    expect(stored).toMatchObject({ auc: done["auc"], logLoss: done["logLoss"] });
    expect(await work.tensorsHash("moved")).toBe(before);
  });

  it("that was killed goes on from its last checkpoint", async () => {
    const { child, done } = work.start([...start("baseline", "killed"), "--json"]);
    while (!(await readdir(work.path("killed", "checkpoints")).catch((): string[] => [])).includes("last")) {
      expect(child.exitCode).toBeNull();
      await sleep(10);
    }
    child.kill("SIGKILL");
    await done;
    await work.json(["recsys", "train", "--resume", "killed", "--cache", "cache"]);
    expect(await work.tensorsHash("killed")).toBe(await work.tensorsHash("baseline-whole"));
    // Its log reads as that of the run that was not killed, and its clock went on.
    const points = async (run: string) => {
      const { events } = await readRun(work.path(run));
      return events.flatMap((event) => (event.event === "metrics" ? [`${event.part} ${event.step}`] : []));
    };
    expect(await points("killed")).toEqual(await points("baseline-whole"));
    const { events, record } = await readRun(work.path("killed"));
    const ends = events.flatMap((event) => (event.event === "span" ? [event.end] : []));
    expect(ends).toEqual(ends.toSorted((a, b) => a - b));
    expect(record.seconds).toBeGreaterThanOrEqual(ends.at(-1)!);
  });
});

it("a run under way is refused by its process's number and can be read; one that is killed goes on", async () => {
  const { child, done } = work.start([...start("baseline", "busy"), "--json"]);
  let seen = "";
  child.stdout!.on("data", (text: string) => (seen += text));
  while (!/"part":"validation","epoch":1/.test(seen)) await sleep(20);
  const message = `this run is being trained by process ${child.pid}, got busy`;
  for (const args of [["recsys", "train", "--resume", "busy"], start("baseline", "busy")])
    expect(await work.run(args)).toMatchObject({ status: 2, stderr: expect.stringContaining(message) });
  expect(await work.json(["recsys", "evaluate", "busy", "log.parquet"])).toBeDefined();
  child.kill("SIGKILL");
  await done;
  expect(await work.json(["recsys", "train", "--resume", "busy"])).toMatchObject({
    done: { finished: true },
  });
  expect(await readdir(work.path("busy"))).not.toContain("lock");
});
