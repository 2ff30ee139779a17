/** @file The report's data and text: what is gathered from events, what is left out, what is escaped. */
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type ReportData, reportRun } from "../../../src/report/data.ts";
import { escapeHtml, scriptJson } from "../../../src/report/html.ts";
import { reportSections } from "../../../src/report/sections.ts";
import { writeReport } from "../../../src/report/writeReport.ts";
import type { RunEvent } from "../../../src/run/events.ts";
import { sampleReport } from "../../support/report/fixture.ts";

const NONE = { auc: null, logLoss: null, accuracy: null, samplesPerSecond: null, trainSeconds: null };

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

const headings = (data: ReportData): string[] =>
  reportSections(data).map((html) => /<h2>(.*?)<\/h2>/.exec(html)![1]!);

describe("reportRun", () => {
  it("thins a long curve but keeps its ends", () => {
    const events = Array.from({ length: 20_000 }, (_, step) => metrics(step, 0.5));
    const { curve } = reportRun("run", NONE, events);
    expect(curve.length).toBeLessThanOrEqual(1501);
    expect(curve.length).toBeGreaterThan(700);
    expect(curve[0]!.step).toBe(0);
    expect(curve.at(-1)!.step).toBe(19_999);
  });

  it("drops losses that are not finite, which JSON could not hold", () => {
    const { curve } = reportRun("run", NONE, [
      metrics(1, 0.7),
      metrics(2, Number.NaN),
      metrics(3, Number.POSITIVE_INFINITY),
    ]);
    expect(curve.map((point) => point.step)).toEqual([1]);
  });

  it("joins stretches of one phase that touch and leaves gaps open", () => {
    const { phases } = reportRun("run", NONE, [
      span("cold", 0, 1),
      span("cold", 1, 2),
      span("hot", 2, 3),
      span("hot", 4, 5),
    ]);
    expect(phases).toEqual([
      { phase: "cold", start: 0, end: 2 },
      { phase: "hot", start: 2, end: 3 },
      { phase: "hot", start: 4, end: 5 },
    ]);
  });

  it("takes the scheduler's rates and each warning once", () => {
    const warning: RunEvent = { event: "notice", level: "warning", code: "X", message: "careful" };
    const { rates, warnings } = reportRun("run", NONE, [
      {
        event: "decision",
        policy: "adaptive",
        kind: "recsys.rate",
        step: 9,
        subject: "validation",
        saw: { loss: 0.4 },
        chose: { rate: 25, action: "halve" },
      },
      {
        event: "decision",
        policy: "topk",
        kind: "recsys.hot",
        step: 0,
        subject: "inputs",
        saw: {},
        chose: { rate: 1 },
      },
      warning,
      warning,
      { event: "notice", level: "info", code: "Y", message: "fine" },
    ]);
    expect(rates).toEqual([{ step: 9, rate: 25, loss: 0.4, action: "halve" }]);
    expect(warnings).toEqual(["careful"]);
  });
});

describe("reportSections", () => {
  it("has every section when there is data for each", () => {
    expect(headings(sampleReport())).toEqual([
      "Result",
      "Warnings",
      "Learning",
      "What is accessed",
      "Where the time went",
      "Shuffle scheduler",
      "Categorical fields",
      "Config and environment",
    ]);
  });

  it("leaves out sections and rows without data", () => {
    const { profile: _, ...data } = sampleReport();
    const bare = { ...data, runs: [reportRun("run", { ...NONE, auc: 0.75 }, [])] };
    expect(headings(bare)).toEqual(["Result", "Config and environment"]);
    const [result] = reportSections(bare);
    expect(result).toContain("0.7500");
    expect(result).not.toContain("Hot bytes");
  });

  it("states the figures of the runs", () => {
    const [result] = reportSections(sampleReport());
    for (const text of ["0.7671", "0.8180", "40,312", "56.5 %", "4.00 MiB", "40.0 MiB"]) {
      expect(result).toContain(text);
    }
  });
});

describe("escaping", () => {
  it("leaves no character that HTML gives a meaning to", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        expect(escapeHtml(text)).not.toMatch(/[<>"']|&(?!(amp|lt|gt|quot|#39);)/);
      }),
    );
    expect(escapeHtml(`<a href='x'>&amp;"`)).toBe("&lt;a href=&#39;x&#39;&gt;&amp;amp;&quot;");
  });

  it("keeps JSON inside its script element and unchanged in meaning", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = scriptJson({ value, trap: "</script><!--\u2028" });
        expect(text).not.toMatch(/[<\u2028\u2029]/);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify({ value, trap: "</script><!--\u2028" })));
      }),
    );
  });
});

describe("writeReport", () => {
  it("writes one file that names no other", async () => {
    const folder = await mkdtemp(join(tmpdir(), "pareto-report-"));
    try {
      await writeReport(join(folder, "deep", "report.html"), sampleReport());
      expect(await readdir(join(folder, "deep"))).toEqual(["report.html"]);
      const html = await readFile(join(folder, "deep", "report.html"), "utf8");
      expect(html).not.toMatch(/<(script|link|img|iframe)[^>]*\s(src|href)=/);
      expect(html).toContain("default-src 'none'");
      await writeFile(join(folder, "plain"), "");
      await expect(writeReport(join(folder, "plain", "r.html"), sampleReport())).rejects.toMatchObject({
        code: "REPORT_WRITE",
      });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
