/**
 * @file The CUDA target: matrix products, memory, embedding rows, attention, whole DLRM training steps, FAE. Each group
 * is measured in a process of its own, so that one that crashes or leaves the GPU in error costs its own rows only.
 */
import { fullSizes, smallSizes, type CudaSizes } from "./cuda/sizes.ts";
import type { BenchArea } from "./harness/area.ts";
import { describeGpu } from "./harness/gpu.ts";
import { collectRows, type BenchRow } from "./harness/rows.ts";

/** Measures rows one after the other. */
type RowGroup = (sizes: CudaSizes) => AsyncGenerator<BenchRow, void, undefined>;

const groups: Readonly<Record<string, () => Promise<RowGroup>>> = {
  products: async () => (await import("./cuda/products.ts")).productRows,
  memory: async () => (await import("./cuda/memory.ts")).memoryRows,
  rows: async () => (await import("./cuda/rows.ts")).rowRows,
  attention: async () => (await import("./cuda/attention.ts")).attentionRows,
  device: async () => (await import("./cuda/training.ts")).deviceRows,
  hybrid: async () => (await import("./cuda/training.ts")).hybridRows,
  fae: async () => (await import("./cuda/fae.ts")).faeRows,
};

export default {
  about: "The CUDA target: products, memory, rows, attention, training steps, FAE over hybrid.",
  cost: "Some four minutes on an H100.",
  groups: Object.keys(groups),
  needsGpu: true,
  isInAll: true,
  isolation: { timeoutMs: 200_000 },
  async run({ only, small }) {
    const sizes = small ? smallSizes : fullSizes;
    const rows: BenchRow[] = [];
    const seconds: Record<string, number> = {};
    for (const name of only) {
      const start = performance.now();
      const group = await groups[name]!();
      rows.push(...(await collectRows(name, group(sizes))));
      seconds[name] = Math.round((performance.now() - start) / 100) / 10;
    }
    return { rows, results: [{ bench: "cuda", small, gpu: await describeGpu(), seconds }] };
  },
} satisfies BenchArea;
