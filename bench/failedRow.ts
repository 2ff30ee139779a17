/** @file Measurements that may fail: the row that then says why, so that the others go on. */
import { ParetoError } from "../src/base/errors.ts";
import type { BenchRow } from "./measure.ts";

/** Measures one row of a group so that the others go on when it fails. */
export async function attempt(name: string, measure: () => Promise<BenchRow>): Promise<BenchRow> {
  try {
    return await measure();
  } catch (error) {
    return failedRow(name, error);
  }
}

/** The row of what could not be measured. */
export function failedRow(name: string, error: unknown): BenchRow {
  const text = error instanceof ParetoError ? `${error.code}: ${error.message}` : String(error);
  const [line] = text.split("\n");
  return {
    case: name,
    size: "",
    milliseconds: null,
    figure: "failed",
    limit: line!.slice(0, 200),
    ratio: null,
    target: "",
    met: false,
  };
}
