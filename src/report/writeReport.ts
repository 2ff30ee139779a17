/** @file Writes the report of one or more training runs as one HTML file. */
import type { ReportData } from "./data.ts";
import { pageFunctions } from "./page.ts";
import { reportSections } from "./sections.ts";
import { writePage } from "./writePage.ts";

/**
 * Writes the report, replacing the file in one step.
 *
 * @param file path of the `.html` file; its folder is made when absent
 * @throws ParetoError REPORT_PLOT_MISSING when the chart library is not installed, REPORT_WRITE when the file
 *   cannot be written
 */
export async function writeReport(file: string, data: ReportData): Promise<void> {
  const { title, subtitle } = data;
  await writePage(file, { title, subtitle, sections: reportSections(data), data, functions: pageFunctions });
}
