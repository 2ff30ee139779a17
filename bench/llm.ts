/**
 * @file Language models: a small one on the host; decode, prompts, evicting caches and their memory on one GPU. The
 * host's part takes half a minute, the GPU's some three on an H100. Where there is no GPU its rows say so.
 */
import { missingGpu } from "./cuda/cudaBench.ts";
import { describeGpu } from "./cuda/gpu.ts";
import { failedRow } from "./failedRow.ts";
import { benchLlmCpu, llmCpuRows } from "./llm/cpu.ts";
import { collect, decodeRows, keyformerRows, memoryRows, promptRows, shapeResults } from "./llm/cuda.ts";
import type { GpuBench } from "./llm/passes.ts";
import { curveRows, measureCurves } from "./llm/curves.ts";
import { gpuRates } from "./llm/rates.ts";
import type { BenchRow } from "./measure.ts";

const gpuGroups = {
  decode: decodeRows,
  prompt: promptRows,
  keyformer: keyformerRows,
  memory: memoryRows,
} satisfies Record<string, (bench: GpuBench) => AsyncGenerator<BenchRow, void, undefined>>;

/** Name of a group of rows. */
export type LlmGroup = keyof typeof gpuGroups | "curves" | "cpu";

const names: readonly LlmGroup[] = [
  "cpu",
  ...(Object.keys(gpuGroups) as (keyof typeof gpuGroups)[]),
  "curves",
];

/** The groups of `--only`; all of them unless told. @throws Error for a name that no group has */
export function llmGroups(list: string | undefined): LlmGroup[] {
  const asked = list?.split(",").map((name) => name.trim()) ?? [...names];
  const unknown = asked.find((name) => !names.some((known) => known === name));
  if (unknown === undefined) return asked as LlmGroup[];
  throw new Error(`--only: no group has this name, got "${unknown}"; use: ${names.join(", ")}`);
}

/** Measures. @param options.log told what is being done */
export async function benchLlm({
  only,
  small,
  threads,
  log,
}: {
  only: readonly LlmGroup[];
  small: boolean;
  threads: number;
  log: (line: string) => void;
}): Promise<{ rows: BenchRow[]; results: unknown[] }> {
  const rows: BenchRow[] = [];
  const results: unknown[] = [];
  if (only.includes("cpu")) {
    log(`${threads} threads of the host`);
    try {
      const result = await benchLlmCpu(threads, small);
      rows.push(...llmCpuRows(result));
      results.push(result);
    } catch (error) {
      rows.push(failedRow("llm cpu", error));
    }
  }
  const onGpu = only.filter((name) => name !== "cpu");
  if (onGpu.length === 0) return { rows, results };
  const missing = await missingGpu();
  if (missing) {
    rows.push({ ...failedRow("llm, cuda", missing), figure: "not measured", met: null });
    return { rows, results };
  }
  const groups: { name: string; seconds: number }[] = [];
  const rates = await gpuRates(small);
  log(
    `read bandwidth ${(rates.bandwidth / 1e9).toFixed(0)} GB/s, bf16 products ${(rates.products / 1e12).toFixed(0)} TFLOP/s`,
  );
  for (const name of onGpu) {
    const start = performance.now();
    const bench = { rates, isSmall: small, log };
    if (name === "curves") {
      try {
        const points = await measureCurves(bench);
        rows.push(...curveRows(points));
        results.push({ bench: "llm curves", points });
      } catch (error) {
        rows.push(failedRow("llm curves", error));
      }
    } else rows.push(...(await collect(name, gpuGroups[name](bench))));
    groups.push({ name, seconds: Math.round((performance.now() - start) / 100) / 10 });
    log(`${name}: ${groups.at(-1)!.seconds} s`);
  }
  const shapes = shapeResults(small);
  results.push({ bench: "llm gpu", small, gpu: await describeGpu(), rates, shapes, groups });
  return { rows, results };
}
