/** @file Pages as text: what is escaped, that nothing is loaded, which numbers stand under a chart. */
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { BarChart, LineChart, SpanChart } from "../../../src/report/chart.ts";
import { chartTable } from "../../../src/report/chartTable.ts";
import { drawChart } from "../../../src/report/drawChart.ts";
import { cellHtml, escapeHtml } from "../../../src/report/html.ts";
import type { Page } from "../../../src/report/page.ts";
import { drawPicture } from "../../../src/report/picture.ts";
import { loadPlot, type PlotLibrary } from "../../../src/report/plotLibrary.ts";
import { renderPage } from "../../../src/report/renderPage.ts";
import { writePage } from "../../../src/report/writePage.ts";

let library: PlotLibrary;
beforeAll(async () => {
  library = await loadPlot();
});

const lines: LineChart = {
  kind: "lines",
  x: { label: "budget, %", domain: [0, 100], ticks: [0, 50, 100] },
  y: { label: "right, %", domain: [0, 100] },
  series: [
    {
      name: "h2o",
      color: "series-0",
      mark: "dots",
      points: [
        { x: 0, y: 0, low: 0, high: 50 },
        { x: 100, y: 100, low: 90, high: 100 },
      ],
    },
    { name: "window", color: "series-1", line: "dashed", points: [{ x: 50, y: 25 }] },
    { name: "out", color: "series-2", isOutOfTable: true, points: [{ x: 7, y: 7 }] },
  ],
  rules: [{ axis: "y", at: 98, label: "full cache" }],
};
const spans: SpanChart = {
  kind: "spans",
  x: { label: "seconds" },
  rows: [
    { name: "a", spans: [{ name: "hot", color: "hot", start: 0, end: 1 }] },
    {
      name: "b",
      spans: [
        { name: "cold", color: "cold", start: 0, end: 2 },
        { name: "cold", color: "cold", start: 3, end: 4 },
      ],
    },
  ],
};
const bars: BarChart = {
  kind: "bars",
  x: { label: "MiB of keys and values" },
  bars: [
    { name: "full", value: 8, text: "8 MiB", color: "series-5" },
    { name: "keyformer", value: 4, text: "4 MiB", color: "series-0" },
  ],
};

const page = (chart: LineChart | SpanChart | BarChart, text = "title"): Page => ({
  title: text,
  subtitle: text,
  sections: [
    {
      title: text,
      blocks: [
        { kind: "figures", figures: [{ id: "one", title: text, alt: text, note: text, chart }] },
        {
          kind: "table",
          table: { head: ["", text], rows: [[text, { text, swatch: "hot", href: "a/b.html" }]] },
          fold: text,
        },
        { kind: "list", items: [text] },
        { kind: "text", text },
      ],
    },
    { title: "left out", blocks: [] },
  ],
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

  it("links to paths and to nothing that could run", () => {
    expect(cellHtml({ text: "run", href: "runs/a/report.html" })).toBe(
      '<a href="runs/a/report.html">run</a>',
    );
    for (const href of ["javascript:alert(1)", " JavaScript:alert(1)", "data:text/html,x"])
      expect(cellHtml({ text: "run", href })).toBe("run");
  });

  it("holds in every part of a page", () => {
    const trap = `</script><img src=x onerror="hit()"><svg/onload=hit()>`;
    const named: LineChart = { ...lines, series: [{ ...lines.series[0]!, name: trap }, lines.series[1]!] };
    const html = renderPage(page({ ...named, rules: [{ axis: "x", at: 50, label: trap }] }, trap), library);
    expect(html).not.toMatch(/<img|<svg\/|<script/);
    expect(html).toContain("&lt;img");
  });
});

describe("a page", () => {
  it("holds no script, loads nothing, and leaves out sections without blocks", () => {
    const html = renderPage(page(lines), library);
    expect(html).not.toMatch(/<(script|link|img|iframe)/);
    expect(html).not.toContain("src=");
    expect(html).toContain("default-src 'none'");
    expect(html).not.toContain("left out");
  });

  it("tells of each chart in words and in numbers", () => {
    const html = renderPage(page(lines, "Recall"), library);
    expect(html).toContain('<svg role="img" aria-label="Recall. Recall"');
    expect(html).toContain("<summary>The numbers</summary>");
    expect(html).toContain('<i style="background:var(--series-0)"></i>h2o');
  });

  it("without charts needs no chart library", () => {
    const bare: Page = {
      title: "t",
      subtitle: "s",
      sections: [{ title: "a", blocks: [{ kind: "text", text: "b" }] }],
    };
    expect(renderPage(bare, null)).toContain("<p>b</p>");
  });

  describe("as a file", () => {
    let folder: string;
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), "pareto-page-"));
    });
    afterAll(() => rm(folder, { recursive: true, force: true }));

    it("is one file, in a folder that is made", async () => {
      await writePage(join(folder, "deep", "report.html"), page(bars));
      expect(await readdir(join(folder, "deep"))).toEqual(["report.html"]);
      expect(await readFile(join(folder, "deep", "report.html"), "utf8")).toMatch(/^<!doctype html>/);
    });

    it("is refused where it cannot be written", async () => {
      await writeFile(join(folder, "plain"), "");
      await expect(writePage(join(folder, "plain", "r.html"), page(bars))).rejects.toMatchObject({
        code: "FILE_REFUSED",
      });
    });
  });
});

describe("the numbers of a chart", () => {
  it("are a row a place and a column a series, with intervals", () => {
    expect(chartTable(lines)).toEqual({
      head: ["budget, %", "h2o", "window"],
      rows: [
        ["0", "0 (0 to 50)", "–"],
        ["50", "–", "25"],
        ["100", "100 (90 to 100)", "–"],
      ],
    });
  });

  it("of stretches are their sums, of bars their words", () => {
    expect(chartTable(spans)).toEqual({
      head: ["Seconds in all", "a", "b"],
      rows: [
        ["hot", "1.00", "–"],
        ["cold", "–", "3.00"],
      ],
    });
    expect(chartTable(bars)!.rows).toEqual([
      ["full", "8 MiB"],
      ["keyformer", "4 MiB"],
    ]);
  });

  it("of long curves are some of them, the last among them", () => {
    const points = Array.from({ length: 1000 }, (_, x) => ({ x, y: x }));
    const { rows } = chartTable({ ...lines, series: [{ name: "a", color: "hot", points }] })!;
    expect(rows.length).toBeLessThanOrEqual(41);
    expect(rows.at(-1)).toEqual(["999", "999"]);
  });
});

/** Attributes of all elements of a name. */
const elements = (svg: string, name: string) =>
  [...svg.matchAll(new RegExp(`<${name} ([^>]*?)/?>`, "g"))].map(([, attributes]) =>
    Object.fromEntries(
      [...attributes!.matchAll(/([\w-]+)="([^"]*)"/g)].map(([, key, value]) => [key, value]),
    ),
  );

describe("a chart", () => {
  it("places points by their figures", () => {
    const circles = elements(drawChart(library, lines, { name: "n", isWide: false }), "circle");
    expect(circles).toHaveLength(2);
    const [first, second] = circles.map(({ cx, cy }) => [Number(cx), Number(cy)]) as [number, number][];
    // From corner to corner of the plot.
    expect([first![0]! < 100, first![1]! > 180]).toEqual([true, true]);
    expect([second![0]! > 420, second![1]! < 40]).toEqual([true, true]);
  });

  it("draws a rule where it is, with its name", () => {
    const svg = drawChart(library, lines, { name: "n", isWide: false });
    expect(svg).toContain("full cache");
    const rule = elements(svg, "line").filter(({ x1, x2 }) => Number(x2) - Number(x1) > 300);
    const top = elements(svg, "circle")[1]!;
    expect(rule.some(({ y1 }) => Math.abs(Number(y1) - Number(top["cy"])) < 6)).toBe(true);
  });

  it("of bars has lengths in proportion", () => {
    const rects = elements(drawChart(library, bars, { name: "n", isWide: false }), "rect");
    expect(Number(rects[0]!["width"]) / Number(rects[1]!["width"])).toBeCloseTo(2, 3);
  });

  it("is the same text each time", () => {
    const draw = () => drawChart(library, spans, { name: "n", isWide: true });
    expect(draw()).toBe(draw());
  });

  it("stands by itself in a picture, with colours and a key", () => {
    const svg = drawPicture(library, "Recall", [
      { title: "in the prompt", note: "100 texts", chart: lines },
      { title: "after it", note: "100 texts", chart: lines },
    ]);
    expect(svg).toMatch(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
    expect(svg.match(/<svg /g)).toHaveLength(3);
    expect(svg).toContain("prefers-color-scheme:dark");
    for (const text of ["in the prompt", "after it", "h2o", "window"]) expect(svg).toContain(`>${text}<`);
  });
});
