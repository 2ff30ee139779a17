/**
 * @file Language models: decode, prompts, evicting caches and their memory on one GPU. Everything takes some three
 * minutes on an H100.
 */
import { describeGpu } from "./cuda/gpu.ts";
import {
  collect,
  decodeRows,
  keyformerRows,
  memoryRows,
  promptRows,
  shapeResults,
  type GpuBench,
} from "./llm/cuda.ts";
import { gpuRates } from "./llm/rates.ts";
import type { BenchRow } from "./measure.ts";

const gpuGroups = {
  decode: decodeRows,
  prompt: promptRows,
  keyformer: keyformerRows,
  memory: memoryRows,
} satisfies Record<string, (bench: GpuBench) => AsyncGenerator<BenchRow, void, undefined>>;

/** Name of a group of rows. */
export type LlmGroup = keyof typeof gpuGroups;

const names = Object.keys(gpuGroups) as LlmGroup[];

/** The groups of `--only`; all of them unless told. @throws Error for a name that no group has */
export function llmGroups(list: string | undefined): LlmGroup[] {
  const asked = list?.split(",").map((name) => name.trim()) ?? names;
  const unknown = asked.find((name) => !names.some((known) => known === name));
  if (unknown === undefined) return asked as LlmGroup[];
  throw new Error(`--only: no group has this name, got "${unknown}"; use: ${names.join(", ")}`);
}

/** Measures. @param options.log told what is being done */
export async function benchLlm({
  only,
  small,
  log,
}: {
  only: readonly LlmGroup[];
  small: boolean;
  log: (line: string) => void;
}): Promise<{ rows: BenchRow[]; results: unknown[] }> {
  const rows: BenchRow[] = [];
  const groups: { name: string; seconds: number }[] = [];
  const rates = await gpuRates(small);
  log(
    `read bandwidth ${(rates.bandwidth / 1e9).toFixed(0)} GB/s, bf16 products ${(rates.products / 1e12).toFixed(0)} TFLOP/s`,
  );
  for (const name of only) {
    const start = performance.now();
    rows.push(...(await collect(name, gpuGroups[name]({ rates, isSmall: small, log }))));
    groups.push({ name, seconds: Math.round((performance.now() - start) / 100) / 10 });
    log(`${name}: ${groups.at(-1)!.seconds} s`);
  }
  return {
    rows,
    results: [
      { bench: "llm gpu", small, gpu: await describeGpu(), rates, shapes: shapeResults(small), groups },
    ],
  };
}
