/** @file The groups of rows of the CUDA table, by the names that `--only` takes. */
import { failedRow } from "../failedRow.ts";
import type { BenchRow } from "../measure.ts";
import type { CudaSizes } from "./sizes.ts";

/** Measures rows one after the other. */
export type RowGroup = (sizes: CudaSizes) => AsyncGenerator<BenchRow, void, undefined>;

const groups = {
  products: async () => (await import("./products.ts")).productRows,
  memory: async () => (await import("./memory.ts")).memoryRows,
  rows: async () => (await import("./rows.ts")).rowRows,
  attention: async () => (await import("./attention.ts")).attentionRows,
  device: async () => (await import("./training.ts")).deviceRows,
  hybrid: async () => (await import("./training.ts")).hybridRows,
  fae: async () => (await import("./fae.ts")).faeRows,
} satisfies Record<string, () => Promise<RowGroup>>;

/** Name of a group. */
export type GroupName = keyof typeof groups;

/** All groups, in the order of the table. */
export const groupNames = Object.keys(groups) as GroupName[];

/** Seconds that a group may take before it is given up. */
export const GROUP_SECONDS = 200;

/** Measures a group; a failure is a row that says so. */
export async function measureGroup(name: GroupName, sizes: CudaSizes): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  try {
    const group: RowGroup = await groups[name]();
    for await (const row of group(sizes)) rows.push(row);
  } catch (error) {
    rows.push(failedRow(name, error));
  }
  return rows;
}
