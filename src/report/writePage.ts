/**
 * @file Writes a report's page: a single HTML file that needs no network and no server.
 *
 * The charts are drawn in the browser by Observable Plot and d3, whose builds are copied into the page (about
 * 0.5 MB). The page's own policy forbids it to load anything. Tables are plain HTML and need no script.
 */
import { randomUUID } from "node:crypto";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { ParetoError } from "../base/errors.ts";
import { missingPackage } from "../base/missingPackage.ts";
import { escapeHtml, scriptJson, STYLE } from "./html.ts";

/** The sources of d3 and Observable Plot for a plain `<script>`. */
async function chartLibraries(): Promise<string[]> {
  try {
    // Plot's main file is src/index.js and d3 is found from there, wherever the package manager put it.
    const plot = createRequire(import.meta.url).resolve("@observablehq/plot");
    const d3 = createRequire(plot).resolve("d3");
    const files = [
      join(dirname(d3), "..", "dist", "d3.min.js"),
      join(dirname(plot), "..", "dist", "plot.umd.min.js"),
    ];
    return await Promise.all(files.map((file) => readFile(file, "utf8")));
  } catch (cause) {
    throw missingPackage("REPORT_PLOT_MISSING", "@observablehq/plot", "a report with charts", cause);
  }
}

/** A script in the page; no text inside can close its tag. */
const script = (source: string): string => `<script>${source.replaceAll("</script", "<\\/script")}</script>`;

/** What a page shows. */
export interface ReportPage {
  title: string;
  /** One line under the title. */
  subtitle: string;
  /** HTML of the sections, in order. */
  sections: readonly string[];
  /** What the page's script reads, as JSON, from `#report-data`. */
  data: unknown;
  /** Functions that draw the charts, written into the page as source text; the last one is called. */
  functions: readonly ((...args: never[]) => unknown)[];
}

/** The whole page as text. */
async function renderPage({ title, subtitle, sections, data, functions }: ReportPage): Promise<string> {
  const libraries = await chartLibraries();
  const drawing = `${functions.map(String).join("\n")}\n${functions.at(-1)!.name}();`;
  return [
    `<!doctype html><html lang="en"><head><meta charset="utf-8">`,
    `<meta name="viewport" content="width=device-width, initial-scale=1">`,
    `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'">`,
    `<title>${escapeHtml(title)}</title><style>${STYLE}</style></head><body><main>`,
    `<header><h1>${escapeHtml(title)}</h1><p>${escapeHtml(subtitle)}</p></header>`,
    ...sections,
    `</main><script type="application/json" id="report-data">${scriptJson(data)}</script>`,
    ...libraries.map(script),
    script(drawing),
    `</body></html>\n`,
  ].join("\n");
}

/**
 * Writes a page, replacing the file in one step.
 *
 * @param file path of the `.html` file; its folder is made when absent
 * @throws ParetoError REPORT_PLOT_MISSING when the chart library is not installed, REPORT_WRITE when the file
 *   cannot be written
 */
export async function writePage(file: string, page: ReportPage): Promise<void> {
  const html = await renderPage(page);
  const target = resolve(file);
  const partial = `${target}.${randomUUID()}.part`;
  try {
    await mkdir(dirname(target), { recursive: true });
    await writeFile(partial, html);
    await rename(partial, target);
  } catch (cause) {
    await rm(partial, { force: true }).catch(() => undefined);
    throw new ParetoError({
      code: "REPORT_WRITE",
      where: target,
      message: `the report could not be written, got "${cause instanceof Error ? cause.message : String(cause)}"`,
      fix: "Choose a folder that may be written to, on a disk with room.",
      cause,
    });
  }
}
