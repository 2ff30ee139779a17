/** @file The report of quality by budget in a real browser: it draws its curves, loads nothing, runs no foreign text. */
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { budgetSections, writeBudgetReport, type BudgetReport } from "../../src/report/budgetReport.ts";

const CHROMIUM = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(
  existsSync,
);
const HOSTILE = `</script><script>window.hacked = true</script><b>"'`;

function sample(): BudgetReport {
  const point = (policy: string, budget: number | null, mean: number) => ({
    policy,
    budget,
    mean,
    low: mean - 0.05,
    high: mean + 0.04,
    tokens: mean,
    difference: { mean: mean - 0.97, low: mean - 1, high: mean - 0.9 },
    seeds: 1,
    byDepth: [0.25, null, 1],
    kvBytes: 4096,
  });
  return {
    title: `model ${HOSTILE}`,
    subtitle: "100 texts",
    createdAt: "2026-01-01T00:00:00.000Z",
    measure: "accuracy",
    items: 100,
    full: point("full", null, 0.97),
    points: ["h2o", "window"].flatMap((policy, i) =>
      [0.1, 0.5, 0.9].map((budget) => point(policy, budget, budget * (0.9 - 0.3 * i))),
    ),
    warnings: [HOSTILE],
    config: { task: HOSTILE },
    environment: { node: "v26" },
  };
}

describe("the report of quality by budget", () => {
  it("has a table by budget, one with intervals, and one by depth where texts have depths", () => {
    const html = budgetSections(sample()).join("");
    expect(html).toContain(
      '<i style="background:var(--run-0)"></i>h2o</th><td>9.0</td><td>45.0</td><td>81.0</td>',
    );
    expect(html).toContain("<td>45.0 (40.0 to 49.0)</td><td>-52.0 (-55.0 to -45.0)</td>");
    expect(html).toContain("<td>25.0</td><td>–</td><td>100.0</td>");
    const likelihoods = budgetSections({
      ...sample(),
      measure: "nll",
      full: { ...sample().full, byDepth: [] },
    }).join("");
    expect(likelihoods).toContain("<td>0.450</td>");
    expect(likelihoods).not.toContain("evidence");
  });

  describe.skipIf(CHROMIUM === undefined)("in Chromium", () => {
    let folder = "";
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), "pareto-report-"));
    });
    afterAll(() => rm(folder, { recursive: true, force: true }));

    it("draws a line and an interval a point, loads nothing and runs no foreign text", async () => {
      const file = join(folder, "report.html");
      await writeBudgetReport(file, sample());
      const browser = await chromium.launch({ executablePath: CHROMIUM!, args: ["--no-sandbox"] });
      try {
        const page = await browser.newPage();
        const complaints: string[] = [];
        const url = pathToFileURL(file).href;
        page.on("console", (message) => complaints.push(message.text()));
        page.on("pageerror", (error) => complaints.push(String(error)));
        page.on("request", (request) => request.url() === url || complaints.push(request.url()));
        await page.goto(url);
        expect(await page.locator("#by-budget svg circle").count()).toBe(6);
        expect(await page.locator("#by-budget svg g[aria-label=rule] line").count()).toBe(7);
        expect(await page.evaluate("window.hacked")).toBeUndefined();
        expect(complaints).toEqual([]);
      } finally {
        await browser.close();
      }
    });
  });
});
