/** @file The report in a real browser, opened from disk: it draws its charts, loads nothing and runs no foreign text. */
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { clickReport } from "../../src/recsys/report.ts";
import { evaluationReport } from "../../src/llm/eval/report.ts";
import type { Page as ReportPage } from "../../src/report/page.ts";
import { writePage } from "../../src/report/writePage.ts";
import { readRun } from "../../src/run/readRun.ts";
import { sampleEvaluation } from "../support/report/evaluation.ts";
import { writeSampleRuns } from "../support/report/fixture.ts";

const CHROMIUM = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(
  existsSync,
);
const title = `the report in Chromium${CHROMIUM === undefined ? " (skipped: no Chromium on this machine)" : ""}`;
describe.skipIf(CHROMIUM === undefined)(title, () => {
  let folder = "";
  let browser: Browser;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "pareto-report-"));
    browser = await chromium.launch({ executablePath: CHROMIUM!, args: ["--no-sandbox"] });
  });
  afterAll(async () => {
    await browser?.close();
    await rm(folder, { recursive: true, force: true });
  });

  const sampleReport = async (name: string, options: Parameters<typeof writeSampleRuns>[1] = {}) => {
    const paths = await writeSampleRuns(join(folder, name), options);
    return clickReport(await Promise.all(paths.map(readRun)));
  };

  /** Opens a page; collects what it complains of and what it tries to load. */
  async function open(
    report: ReportPage,
    scheme: "light" | "dark" = "light",
  ): Promise<{ page: Page; complaints: string[]; requests: string[] }> {
    const file = join(folder, "report.html");
    await writePage(file, report);
    const page = await browser.newPage({ colorScheme: scheme, viewport: { width: 1100, height: 900 } });
    const complaints: string[] = [];
    const requests: string[] = [];
    page.on("console", (message) => complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("request", (request) => requests.push(request.url()));
    const url = pathToFileURL(file).href;
    await page.goto(url);
    return { page, complaints, requests: requests.filter((request) => request !== url) };
  }

  /** Texts of charts that lie over each other, or that a chart's edge cuts off. */
  const misplacedTexts = (page: Page): Promise<string[]> =>
    page.evaluate(`[...document.querySelectorAll("figure svg")].flatMap((svg) => {
      const edge = svg.getBoundingClientRect();
      const texts = [...svg.querySelectorAll("text")].map((text) => ({ box: text.getBoundingClientRect(), text: text.textContent }));
      const cut = texts.filter(({ box }) => box.left < edge.left - 1 || box.right > edge.right + 1 || box.top < edge.top - 1 || box.bottom > edge.bottom + 1);
      const over = texts.filter(({ box: a }, i) => texts.some(({ box: b }, j) => i < j && Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3));
      return [...cut, ...over].map(({ text }) => svg.closest("figure").id + ": " + text);
    })`);

  it("shows every chart without a complaint and without loading anything", async () => {
    const { page, complaints, requests } = await open(await sampleReport("all"));
    expect(complaints).toEqual([]);
    expect(requests).toEqual([]);
    const ids = await page.locator("figure").evaluateAll((figures) => figures.map(({ id }) => id));
    expect(ids).toEqual([
      "logLoss-by-step",
      "logLoss-by-seconds",
      "auc-by-step",
      "auc-by-seconds",
      "skew",
      "budget",
      "time",
      "rate",
      "rate-loss",
    ]);
    for (const id of ids) {
      expect(await page.locator(`#${id} svg[role=img]`).count(), id).toBe(1);
      expect(await page.locator(`#${id} svg path, #${id} svg rect`).count(), id).toBeGreaterThan(0);
      expect(await page.locator(`#${id} details tbody tr`).count(), id).toBeGreaterThan(0);
    }
    expect(await page.locator("#budget svg").textContent()).toContain("budget 4 MiB");
    expect(await page.locator("#skew svg").textContent()).toContain("10 % of rows");
    expect(await page.locator("main").innerHTML()).not.toContain("NaN");
    await page.close();
  });

  it.each(["light", "dark"] as const)(
    "is legible in %s: no label over another or cut off",
    async (scheme) => {
      const { page } = await open(await sampleReport(`legible-${scheme}`), scheme);
      expect(await misplacedTexts(page)).toEqual([]);
      const least = await page.evaluate(
        `Math.min(...[...document.querySelectorAll("figure svg text")].map((text) => parseFloat(getComputedStyle(text).fontSize)))`,
      );
      expect(least).toBeGreaterThanOrEqual(12);
      await page.close();
    },
  );

  it("follows the dark setting and fits a narrow window", async () => {
    const { page } = await open(await sampleReport("dark"), "dark");
    const paper = await page.evaluate(`getComputedStyle(document.body).backgroundColor`);
    expect(paper).toBe("rgb(21, 24, 28)");
    await page.setViewportSize({ width: 400, height: 800 });
    expect(await page.evaluate(`document.documentElement.scrollWidth <= innerWidth`)).toBe(true);
    await page.close();
  });

  it("prints, with the numbers of its charts and in dark ink", async () => {
    const { page } = await open(await sampleReport("print"), "dark");
    await page.emulateMedia({ media: "print" });
    expect(await page.evaluate(`getComputedStyle(document.body).color`)).toBe("rgb(29, 33, 38)");
    expect(
      await page.evaluate(
        `getComputedStyle(document.querySelector("details"), "::details-content").contentVisibility`,
      ),
    ).toBe("visible");
    await page.close();
  });

  it("shows names that look like markup as text", async () => {
    const trap = `</script><img src=x onerror="window.hit=1"><script>window.hit=1</script>`;
    const { page, complaints } = await open(await sampleReport("trap", { text: trap }));
    expect(complaints).toEqual([]);
    expect(await page.evaluate(`window.hit`)).toBeUndefined();
    expect(await page.locator("img").count()).toBe(0);
    expect(await page.locator("h1").textContent()).toContain(trap);
    expect(await page.locator("#time svg").textContent()).toContain(trap.slice(0, 20));
    expect(await page.locator("#time details").textContent()).toContain(trap);
    await page.close();
  });

  it("works with runs that have only figures", async () => {
    const { page, complaints } = await open(await sampleReport("bare", { isBare: true }));
    expect(complaints).toEqual([]);
    expect(await page.locator("svg").count()).toBe(0);
    expect(await page.locator("table.headline").textContent()).toContain("0.7668");
    await page.close();
  });

  it("shows quality by budget: a line and an interval a point, and no foreign text run", async () => {
    const trap = `</script><script>window.hit=1</script><b>"'`;
    const { page, complaints, requests } = await open(evaluationReport(sampleEvaluation(trap)));
    expect([...complaints, ...requests]).toEqual([]);
    expect(await page.locator("#by-budget svg circle").count()).toBe(6);
    // An interval a point, and the full cache.
    expect(await page.locator("#by-budget svg g[aria-label=rule] line").count()).toBe(7);
    expect(await page.evaluate(`window.hit`)).toBeUndefined();
    expect(await misplacedTexts(page)).toEqual([]);
    await page.close();
  });
});
