/**
 * @file Observable Plot and the document that it draws into (linkedom), loaded when the first chart is drawn: most
 * commands draw none.
 */
import type * as ObservablePlot from "@observablehq/plot";
import type { parseHTML } from "linkedom";
import { missingPackage } from "../base/missingPackage.ts";

/** What Plot is made to draw into. */
type Canvas = ReturnType<typeof parseHTML>["document"];

/** Observable Plot. */
export type Plot = typeof ObservablePlot;

/** What draws charts. */
export interface PlotLibrary {
  Plot: Plot;
  document: Canvas;
}

async function load<Library>(name: string, loading: Promise<Library>): Promise<Library> {
  try {
    return await loading;
  } catch (cause) {
    throw missingPackage("REPORT_PLOT_MISSING", name, "a report with charts", cause);
  }
}

/** Loads both. @throws ParetoError `REPORT_PLOT_MISSING` */
export async function loadPlot(): Promise<PlotLibrary> {
  const Plot = await load("@observablehq/plot", import("@observablehq/plot"));
  const linkedom = await load("linkedom", import("linkedom"));
  return { Plot, document: linkedom.parseHTML("<!doctype html><html><body></body></html>").document };
}
