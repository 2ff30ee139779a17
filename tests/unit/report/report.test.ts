/** @file Reports as data: what is gathered from the folders of runs, what is left out. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { clickReport } from "../../../src/recsys/report.ts";
import type { LineChart, SpanChart } from "../../../src/report/chart.ts";
import { namedRuns } from "../../../src/report/namedRun.ts";
import type { Page, Section } from "../../../src/report/page.ts";
import {
  decisionsSection,
  learningSection,
  timeSection,
  warningsSection,
} from "../../../src/report/runSections.ts";
import type { RunEvent } from "../../../src/run/events.ts";
import type { DecisionEvent } from "../../../src/run/policies/decision.ts";
import { readRun, type RunFiles } from "../../../src/run/readRun.ts";
import { appendEvents, writeSampleRuns } from "../../support/report/fixture.ts";

let folder: string;
let sample: RunFiles[];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pareto-report-"));
  sample = await Promise.all((await writeSampleRuns(folder)).map(readRun));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A run with these events and decisions. */
function run(events: RunEvent[], decisions: DecisionEvent[] = []): RunFiles {
  return { path: "runs/one", record: sample[0]!.record, result: null, events, decisions };
}
const named = (...files: RunFiles[]) => namedRuns(files, () => "run");

const metrics = (step: number, logLoss: number): RunEvent => ({
  event: "metrics",
  part: "train",
  epoch: 0,
  step,
  seconds: step / 10,
  logLoss,
});
const span = (name: string, start: number, end: number): RunEvent => ({
  event: "span",
  span: name,
  start,
  end,
});

/** The charts of a section. */
const chartsOf = ({ blocks }: Section) =>
  blocks.flatMap((block) => (block.kind === "figures" ? block.figures.map(({ chart }) => chart) : []));
const headings = ({ sections }: Page) =>
  sections.filter(({ blocks }) => blocks.length > 0).map(({ title }) => title);

describe("curves", () => {
  const training = (events: RunEvent[]) =>
    (chartsOf(learningSection(named(run(events)), ["logLoss"]))[0] as LineChart).series[0]!.points;

  it("are thinned where they are long, but keep their ends", () => {
    const points = training(Array.from({ length: 20_000 }, (_, step) => metrics(step, 0.5)));
    expect(points.length).toBeLessThanOrEqual(1001);
    expect(points.length).toBeGreaterThan(700);
    expect([points[0]!.x, points.at(-1)!.x]).toEqual([0, 19_999]);
  });

  it("leave out losses that are not finite, and measures that no run has", () => {
    const events = [
      metrics(1, 0.7),
      metrics(2, Number.NaN),
      metrics(3, Number.POSITIVE_INFINITY),
      metrics(4, 0.6),
    ];
    expect(training(events).map(({ x }) => x)).toEqual([1, 4]);
    expect(learningSection(named(run(events)), ["auc", "macroF1"]).blocks).toEqual([]);
  });

  it("keep a short curve as it is and smooth a long one", () => {
    expect(training([metrics(1, 0.7), metrics(2, 0.5)]).map(({ y }) => y)).toEqual([0.7, 0.5]);
    const noisy = training(Array.from({ length: 300 }, (_, i) => metrics(i, i % 2)));
    expect(noisy[150]!.y).toBeCloseTo(0.5, 1);
  });
});

describe("the time line", () => {
  it("joins stretches of one kind that touch and leaves gaps open", () => {
    const events = [span("cold", 0, 1), span("cold", 1, 2), span("hot", 2, 3), span("hot", 4, 5)];
    const [chart] = chartsOf(timeSection(named(run(events)))) as SpanChart[];
    expect(chart!.rows[0]!.spans.map(({ name, start, end }) => [name, start, end])).toEqual([
      ["cold", 0, 2],
      ["hot", 2, 3],
      ["hot", 4, 5],
    ]);
  });

  it("goes on over a resume, without what was lost and done again", async () => {
    const [path] = await writeSampleRuns(join(folder, "resumed"), { isBare: true });
    const at = (name: string, start: number, end: number, step: number) => ({
      ...span(name, start, end),
      step,
    });
    await appendEvents(path!, [
      at("train", 0, 10, 100),
      at("train", 10, 14, 140),
      { event: "resumed", step: 100, seconds: 20 },
      at("train", 20, 31, 200),
    ]);
    const section = timeSection(named(await readRun(path!)));
    const [chart] = chartsOf(section) as SpanChart[];
    expect(chart!.rows[0]!.spans.map(({ start, end }) => [start, end])).toEqual([
      [0, 10],
      [20, 31],
    ]);
    expect(JSON.stringify(section)).toContain("run was resumed once");
  });
});

describe("decisions and warnings", () => {
  const decision = (step: number): DecisionEvent => ({
    event: "decision",
    policy: "topk",
    kind: "recsys.hot",
    step,
    subject: "inputs",
    saw: { lookups: 1000.5 },
    chose: { rows: 12_345 },
  });

  it("are listed with what was seen and chosen, at most so many", () => {
    const section = decisionsSection(
      named(
        run(
          [],
          Array.from({ length: 31 }, (_, i) => decision(i)),
        ),
      ),
    );
    const [table, more] = section.blocks;
    if (table?.kind !== "table") throw new Error("expected a table");
    expect(table.table.rows).toHaveLength(30);
    expect(table.table.rows[0]).toEqual(["topk", "recsys.hot", "0", "inputs", "lookups 1001", "rows 12,345"]);
    expect(more).toEqual({ kind: "text", text: "The first 30 of 31; decisions.jsonl holds all." });
    expect(decisionsSection(named(run([], [decision(1)])), ["recsys.hot"]).blocks).toEqual([]);
  });

  it("take each warning once and no other notice", () => {
    const warning: RunEvent = { event: "notice", level: "warning", code: "X", message: "careful" };
    const info: RunEvent = { event: "notice", level: "info", code: "Y", message: "fine" };
    const section = warningsSection(named(run([warning, info, warning])));
    expect(section.blocks).toEqual([{ kind: "list", items: ["careful"] }]);
  });
});

describe("the report of click runs", () => {
  it("has every section when there is data for each", async () => {
    const page = await clickReport(sample);
    expect(page.title).toBe("dlrm: baseline, fae");
    expect(page.subtitle).toContain("13 dense and 26 categorical columns");
    expect(headings(page)).toEqual([
      "Result",
      "Warnings",
      "Learning",
      "What is accessed",
      "Where the time went",
      "Shuffle scheduler",
      "Categorical columns",
      "Configuration",
    ]);
    for (const text of ["0.7671", "40,312", "56.5 %", "4.00 MiB", "40.0 MiB"])
      expect(JSON.stringify(page.sections[0])).toContain(text);
  });

  it("leaves out sections and rows without data", async () => {
    const [baseline] = await writeSampleRuns(join(folder, "bare"), { isBare: true });
    const page = await clickReport([await readRun(baseline!)]);
    expect(headings(page)).toEqual(["Result", "Configuration"]);
    expect(JSON.stringify(page.sections[0])).not.toContain("Hot bytes");
  });

  it("is made of a run without a result too", async () => {
    const page = await clickReport([run([metrics(1, 0.7), metrics(2, 0.6)])]);
    expect(headings(page)).toEqual(["Result", "Learning", "Configuration"]);
  });
});

it("names runs of one name by their folders", () => {
  const two = [run([]), { ...run([]), path: "runs/two" }];
  expect(namedRuns(two, () => "fae").map(({ name }) => name)).toEqual(["fae, one", "fae, two"]);
});

describe("a run whose files are damaged", () => {
  const changed = async (change: (result: Record<string, unknown>) => unknown) => {
    const [path] = await writeSampleRuns(await mkdtemp(join(folder, "damaged-")));
    const file = join(path!, "result.json");
    const result = JSON.parse(await readFile(file, "utf8")) as Record<string, unknown>;
    await writeFile(file, JSON.stringify(change(result)));
    return { path: path!, file };
  };

  it.each([
    ["config", (result: object) => ({ ...result, config: null }), "config: expected object, got null"],
    [
      "rows",
      (result: object) => ({ ...result, rows: { train: "many" } }),
      'rows.train: expected number, got "many"',
    ],
    ["hot", ({ hot: _, ...result }: Record<string, unknown>) => result, "hot: "],
    ["all", () => [], "its top level: expected object, got []"],
  ])("is refused by the file and the key: %s", async (_, change, text) => {
    const { path, file } = await changed(change);
    await expect(readRun(path).then((run) => clickReport([run]))).rejects.toMatchObject({
      code: "RUN_INVALID",
      where: file,
      message: expect.stringContaining(`result.json is wrong at ${text}`) as string,
    });
  });

  it("is refused by the line of its log; a line that is cut off at the end is left out", async () => {
    const { path } = await changed((result) => result);
    const file = join(path, "events.jsonl");
    const { events } = await readRun(path);
    const text = await readFile(file, "utf8");
    await writeFile(file, `${text}{"event":"span","span":"tr`);
    expect((await readRun(path)).events).toEqual(events);
    const number = text.split("\n").length;
    for (const [line, problem] of [
      ['{"event":"span","span":"tr', `events.jsonl:${number} is not JSON`],
      [
        '{"event":"span","span":"train","start":0,"end":"1"}',
        `events.jsonl:${number} is wrong at end: expected number, got "1"`,
      ],
      ["[1]", `events.jsonl:${number} is wrong at its top level`],
      ['{"event":"notice","event":"span"}', `events.jsonl:${number} has one key twice, event`],
    ] as const) {
      await writeFile(file, `${text}${line}\n${text}`);
      await expect(readRun(path)).rejects.toMatchObject({
        code: "RUN_INVALID",
        where: `${file}:${number}`,
        message: expect.stringContaining(problem) as string,
      });
    }
    await writeFile(file, `${text}{"event":"of a newer Pareto"}\n\n`);
    expect((await readRun(path)).events).toEqual(events);
  });

  it("keeps an event whose text holds line separators of Unicode", async () => {
    const { path } = await changed((result) => result);
    const message = "one\u2028two\u2029three\rfour";
    await appendEvents(path, [{ event: "notice", level: "warning", code: "X", message }]);
    expect((await readRun(path)).events.at(-1)).toMatchObject({ message });
  });
});
