/**
 * @file Language models: a small one on the host; decode, prompts, evicting caches and their memory on one GPU. Where
 * there is no GPU its rows say so.
 */
import type { BenchArea, BenchContext, BenchOutcome } from "./harness/area.ts";
import { describeGpu, missingGpu } from "./harness/gpu.ts";
import { collectRows, failedRow, withoutGpuRow, type BenchRow } from "./harness/rows.ts";
import { benchLlmCpu, llmCpuRows } from "./llm/cpu.ts";
import { decodeRows, keyformerRows, memoryRows, promptRows, shapeResults } from "./llm/cuda.ts";
import { curveRows, measureCurves } from "./llm/curves.ts";
import type { GpuBench } from "./llm/passes.ts";
import { gpuRates } from "./harness/gpuRates.ts";

const gpuGroups: Readonly<Record<string, (bench: GpuBench) => AsyncIterable<BenchRow>>> = {
  decode: decodeRows,
  prompt: promptRows,
  keyformer: keyformerRows,
  memory: memoryRows,
};

/** Measures the groups of the GPU, all of them against limits that are measured once. */
async function onGpu(only: readonly string[], { small, log }: BenchContext): Promise<BenchOutcome> {
  const outcome: BenchOutcome = { rows: [], results: [] };
  const groups: { name: string; seconds: number }[] = [];
  const rates = await gpuRates(small);
  log(
    `read bandwidth ${(rates.bandwidth / 1e9).toFixed(0)} GB/s, bf16 products ${(rates.products / 1e12).toFixed(0)} TFLOP/s`,
  );
  for (const name of only) {
    const start = performance.now();
    const bench = { rates, isSmall: small, log };
    if (name === "curves") {
      try {
        const points = await measureCurves(bench);
        outcome.rows.push(...curveRows(points));
        outcome.results.push({ bench: "llm curves", points });
      } catch (error) {
        outcome.rows.push(failedRow("llm curves", error));
      }
    } else outcome.rows.push(...(await collectRows(name, gpuGroups[name]!(bench))));
    groups.push({ name, seconds: Math.round((performance.now() - start) / 100) / 10 });
    log(`${name}: ${groups.at(-1)!.seconds} s`);
  }
  const shapes = shapeResults(small);
  outcome.results.push({ bench: "llm gpu", small, gpu: await describeGpu(), rates, shapes, groups });
  return outcome;
}

export default {
  about: "Language models: decode, prompts and evicting caches, on the host and on one GPU.",
  cost: "Half a minute of the host, some three minutes of an H100.",
  groups: ["cpu", ...Object.keys(gpuGroups), "curves"],
  isInAll: true,
  async run(context) {
    const { only, small, threads, log } = context;
    const outcome: BenchOutcome = { rows: [], results: [] };
    if (only.includes("cpu")) {
      log(`${threads} threads of the host`);
      try {
        const result = await benchLlmCpu(threads, small);
        outcome.rows.push(...llmCpuRows(result));
        outcome.results.push(result);
      } catch (error) {
        outcome.rows.push(failedRow("llm cpu", error));
      }
    }
    const others = only.filter((name) => name !== "cpu");
    if (others.length === 0) return outcome;
    const missing = await missingGpu();
    if (missing) outcome.rows.push(withoutGpuRow("llm, cuda", missing));
    else {
      const { rows, results } = await onGpu(others, context);
      outcome.rows.push(...rows);
      outcome.results.push(...results);
    }
    return outcome;
  },
} satisfies BenchArea;
