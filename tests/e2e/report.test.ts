/** @file The report in a real browser, opened from disk: it draws its charts, loads nothing and runs no foreign text. */
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ReportData } from "../../src/report/data.ts";
import { writeReport } from "../../src/report/writeReport.ts";
import { sampleReport } from "../support/report/fixture.ts";

const CHROMIUM = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(
  existsSync,
);
const CHARTS = [
  "loss-by-step",
  "loss-by-seconds",
  "auc-by-step",
  "auc-by-seconds",
  "skew",
  "budget",
  "timeline",
  "rate",
  "rate-loss",
];

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

  /** Opens a report; collects what the page complains of and what it tries to load. */
  async function open(
    data: ReportData,
    scheme: "light" | "dark" = "light",
  ): Promise<{ page: Page; complaints: string[]; requests: string[] }> {
    const file = join(folder, "report.html");
    await writeReport(file, data);
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

  it("draws every chart without a complaint and without loading anything", async () => {
    const data = sampleReport();
    const { page, complaints, requests } = await open(data);
    expect(complaints).toEqual([]);
    expect(requests).toEqual([]);
    for (const id of CHARTS) {
      expect(await page.locator(`#${id} .plot > svg`).count(), id).toBe(1);
      expect(await page.locator(`#${id} svg path, #${id} svg rect`).count(), id).toBeGreaterThan(0);
    }
    expect(await page.locator("#timeline svg rect").count()).toBe(
      data.runs.reduce((sum, run) => sum + run.phases.length, 0),
    );
    expect(await page.locator("#auc-by-step svg").textContent()).toContain("best possible 0.8180");
    expect(await page.locator("#budget svg").textContent()).toContain("budget 4 MiB");
    expect(await page.locator("#skew svg").textContent()).toContain("10% of rows");
    expect(await page.locator("main").innerHTML()).not.toContain("NaN");
    await page.close();
  });

  it("follows the dark setting and fits a narrow window", async () => {
    const { page } = await open(sampleReport(), "dark");
    const paper = await page.evaluate(`getComputedStyle(document.body).backgroundColor`);
    expect(paper).toBe("rgb(21, 24, 28)");
    await page.setViewportSize({ width: 400, height: 800 });
    await page.waitForFunction(
      `document.querySelector("#loss-by-step svg").getBoundingClientRect().right <= innerWidth`,
    );
    expect(await page.evaluate(`document.documentElement.scrollWidth <= innerWidth`)).toBe(true);
    await page.close();
  });

  it("shows names that look like markup as text", async () => {
    const trap = `</script><img src=x onerror="window.hit=1"><script>window.hit=1</script>`;
    const data = sampleReport();
    data.title = trap;
    data.subtitle = trap;
    data.environment = { [trap]: trap };
    data.profile!.fields[0]!.name = trap;
    data.runs[0]!.name = trap;
    data.runs[0]!.warnings = [trap];
    data.runs[0]!.config = { [trap]: trap };
    const { page, complaints } = await open(data);
    expect(complaints).toEqual([]);
    expect(await page.evaluate(`window.hit`)).toBeUndefined();
    expect(await page.locator("img").count()).toBe(0);
    expect(await page.locator("h1").textContent()).toBe(trap);
    expect(await page.locator("#timeline svg").count()).toBe(1);
    await page.close();
  });

  it("works with a single run that has only figures", async () => {
    const { profile: _, ...data } = sampleReport();
    const [first] = data.runs;
    const bare = { ...data, runs: [{ ...first!, curve: [], phases: [], rates: [], warnings: [] }] };
    const { page, complaints } = await open(bare);
    expect(complaints).toEqual([]);
    expect(await page.locator("svg").count()).toBe(0);
    expect(await page.locator("table.headline").textContent()).toContain("0.7668");
    await page.close();
  });
});
