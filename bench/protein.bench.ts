/**
 * @file Protein families: training sequences a second beside PyTorch on the same device, classification, its memory, and
 * what a model calls unknown.
 */
import type { BenchArea, BenchGroup, BenchOutcome } from "./harness/area.ts";
import { describeGpu, missingGpu } from "./harness/gpu.ts";
import { runGroups } from "./harness/groups.ts";
import { withoutGpuRow } from "./harness/rows.ts";
import {
  classifyMemoryRows,
  classifyRows,
  measureClassify,
  measureClassifyMemory,
} from "./protein/classification.ts";
import { fullSizes, smallSizes, type ProteinSizes, type TrainingSize } from "./protein/sizes.ts";
import { measureTraining, trainingRows } from "./protein/training.ts";

const sizesOf = ({ small }: { small: boolean }): ProteinSizes => (small ? smallSizes : fullSizes);

async function training(
  device: "cpu" | "cuda",
  threads: number,
  cases: readonly TrainingSize[],
  sizes: ProteinSizes,
): Promise<BenchOutcome> {
  const outcome: BenchOutcome = { rows: [], results: [] };
  for (const size of cases) {
    const result = await measureTraining(device, threads, size, sizes);
    outcome.rows.push(...trainingRows(result));
    outcome.results.push(result);
  }
  return outcome;
}

const groups: Readonly<Record<string, BenchGroup>> = {
  cpu: (context) => training("cpu", context.threads, sizesOf(context).cpu, sizesOf(context)),
  cuda: async (context) => {
    const missing = await missingGpu();
    if (missing) return { rows: [withoutGpuRow("training, cuda", missing)], results: [] };
    const gpu = { bench: "protein gpu", gpu: await describeGpu() };
    const { rows, results } = await training("cuda", context.threads, sizesOf(context).gpu, sizesOf(context));
    return { rows, results: [gpu, ...results] };
  },
  classify: async (context) => {
    const result = await measureClassify(context.threads, sizesOf(context));
    return { rows: classifyRows(result), results: [result] };
  },
  memory: async (context) => {
    const result = await measureClassifyMemory(context.threads, sizesOf(context));
    return { rows: classifyMemoryRows(result), results: [result] };
  },
};

export default {
  about: "Protein families: training beside PyTorch, classification and its memory.",
  cost: "Some four minutes, most of it the million records of the memory case.",
  groups: Object.keys(groups),
  isInAll: true,
  run: (context) => runGroups(groups, context),
} satisfies BenchArea;
