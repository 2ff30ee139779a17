/** @file Groups that are measured one after the other in one process. */
import type { BenchContext, BenchGroup, BenchOutcome } from "./area.ts";
import { failedRow } from "./rows.ts";

/** Measures the groups asked for; one that fails is a row that says so. */
export async function runGroups(
  groups: Readonly<Record<string, BenchGroup>>,
  context: BenchContext,
): Promise<BenchOutcome> {
  const outcome: BenchOutcome = { rows: [], results: [] };
  for (const name of context.only) {
    try {
      const { rows, results } = await groups[name]!(context);
      outcome.rows.push(...rows);
      outcome.results.push(...results);
    } catch (error) {
      outcome.rows.push(failedRow(name, error));
    }
  }
  return outcome;
}
