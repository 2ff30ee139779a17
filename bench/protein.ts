/**
 * @file Protein families: training sequences a second beside PyTorch on the same device, classification, and its memory.
 * Everything takes some four minutes, most of it the million records of the memory case.
 */
import { missingGpu } from "./cuda/cudaBench.ts";
import { failedRow } from "./failedRow.ts";
import type { BenchRow } from "./measure.ts";
import {
  classifyMemoryRows,
  classifyRows,
  measureClassify,
  measureClassifyMemory,
} from "./protein/classification.ts";
import { fullSizes, smallSizes, type ProteinSizes } from "./protein/sizes.ts";
import { measureTraining, trainingRows } from "./protein/training.ts";
import { describeGpu } from "./cuda/gpu.ts";

interface Outcome {
  rows: BenchRow[];
  results: unknown[];
}

type Group = (threads: number, sizes: ProteinSizes) => AsyncGenerator<Outcome, void, undefined>;

const groups = {
  async *cpu(threads, sizes) {
    for (const size of sizes.cpu) {
      const result = await measureTraining("cpu", threads, size, sizes);
      yield { rows: trainingRows(result), results: [result] };
    }
  },
  async *cuda(threads, sizes) {
    yield { rows: [], results: [{ bench: "protein gpu", gpu: await describeGpu() }] };
    for (const size of sizes.gpu) {
      const result = await measureTraining("cuda", threads, size, sizes);
      yield { rows: trainingRows(result), results: [result] };
    }
  },
  async *classify(threads, sizes) {
    const result = await measureClassify(threads, sizes);
    yield { rows: classifyRows(result), results: [result] };
  },
  async *memory(threads, sizes) {
    const result = await measureClassifyMemory(threads, sizes);
    yield { rows: classifyMemoryRows(result), results: [result] };
  },
} satisfies Record<string, Group>;

/** Name of a group of rows. */
export type ProteinGroup = keyof typeof groups;

const names = Object.keys(groups) as ProteinGroup[];

/** The groups of `--only`; all of them unless told. @throws Error for a name that no group has */
export function proteinGroups(list: string | undefined): ProteinGroup[] {
  const asked = list?.split(",").map((name) => name.trim()) ?? names;
  const unknown = asked.find((name) => !names.some((known) => known === name));
  if (unknown === undefined) return asked as ProteinGroup[];
  throw new Error(`--only: no group has this name, got "${unknown}"; use: ${names.join(", ")}`);
}

/** Measures groups of rows, one after the other; one that fails is a row that says so. */
export async function benchProtein(
  threads: number,
  { only, small = false }: { only: readonly ProteinGroup[]; small?: boolean },
): Promise<Outcome> {
  const outcome: Outcome = { rows: [], results: [] };
  for (const name of only) {
    const missing = name === "cuda" ? await missingGpu() : null;
    if (missing) {
      outcome.rows.push(withoutGpu(missing.message));
      continue;
    }
    try {
      const group: Group = groups[name];
      for await (const { rows, results } of group(threads, small ? smallSizes : fullSizes)) {
        outcome.rows.push(...rows);
        outcome.results.push(...results);
      }
    } catch (error) {
      outcome.rows.push(failedRow(`protein ${name}`, error));
    }
  }
  return outcome;
}

function withoutGpu(reason: string): BenchRow {
  return {
    case: "training, cuda",
    size: "",
    milliseconds: null,
    figure: "not measured",
    limit: reason.slice(0, 100),
    ratio: null,
    target: "",
    met: null,
  };
}
