/** @file Writes a page as a single HTML file that needs no network, no server and no script. */
import { resolve } from "node:path";
import { writeText } from "../base/files.ts";
import type { Page } from "./page.ts";
import { loadPlot } from "./plotLibrary.ts";
import { hasCharts, renderPage } from "./renderPage.ts";

/**
 * Writes a page, replacing the file in one step.
 *
 * @param file path of the `.html` file; its folder is made when absent
 * @throws ParetoError `REPORT_PLOT_MISSING` when the chart library is not installed; `FILE_DISK_FULL`, `FILE_REFUSED`
 *   when the file cannot be written
 */
export async function writePage(file: string, page: Page): Promise<void> {
  await writeText(resolve(file), renderPage(page, hasCharts(page) ? await loadPlot() : null));
}
