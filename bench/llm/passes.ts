/**
 * @file What the measurements of language models on one GPU do: open a model of random weights, fill sequences with a text,
 * time steps and their parts.
 */
import { keyformer } from "../../src/llm/kv/policies/keyformer.ts";
import { window } from "../../src/llm/kv/policies/window.ts";
import type { LayerPolicies } from "../../src/llm/kv/policy.ts";
import { CudaRunner } from "../../src/llm/cuda/cudaRunner.ts";
import type { DecoderConfig } from "../../src/llm/models/decoder.ts";
import type { GpuRates } from "../harness/gpuRates.ts";
import { shapeOf, type ShapeName } from "./shapes.ts";
import { median } from "../harness/timing.ts";

/** What all groups are told. */
export interface GpuBench {
  readonly rates: GpuRates;
  readonly isSmall: boolean;
  /** Told what is being done. */
  readonly log: (line: string) => void;
}

/** Steps that are timed at each length, and before them. */
export const STEPS = 16;
export const WARM_UP = 4;
/** Tokens of a prompt that repeats nothing for long. */
function promptOf({ vocabSize }: DecoderConfig, tokens: number): number[] {
  return Array.from({ length: tokens }, (_, i) => (i * 7919 + (i >> 5)) % vocabSize);
}

const half = { share: 0.5 };
export const keyformerHalf: LayerPolicies = () => keyformer({ budget: half, horizon: 1024 });
/** The same length of cache, with nothing scored: what scoring costs is what is missing here. */
export const windowHalf: LayerPolicies = () => window({ budget: half });

/** Reads a prompt in sequence 0 and copies it to the others. @returns seconds of the prompt */
export async function fill(
  runner: CudaRunner,
  policies: LayerPolicies,
  { prompt, sequences, room }: { prompt: number; sequences: number; room: number },
): Promise<number> {
  for (let sequence = 0; sequence < runner.maxSequences; sequence++) runner.release(sequence);
  runner.begin(0, { policies, maxNewTokens: room });
  await runner.prepare(prompt);
  const start = performance.now();
  await runner.prefill([{ sequence: 0, tokens: promptOf(runner.config, prompt) }]);
  const seconds = (performance.now() - start) / 1000;
  for (let sequence = 1; sequence < sequences; sequence++) await runner.fork(0, sequence);
  return seconds;
}

/** One greedy step of the first sequences. */
export function stepOnce(runner: CudaRunner, sequences: number): Promise<Int32Array> {
  return runner.decodeTokens(
    Array.from({ length: sequences }, (_, sequence) => ({ sequence, token: sequence })),
  );
}

/** Median milliseconds of greedy steps of the first sequences, from the host's call to its answer. */
export async function stepMs(runner: CudaRunner, sequences: number, steps = STEPS): Promise<number> {
  const tokens = Array.from({ length: sequences }, (_, sequence) => ({
    sequence,
    token: sequence % runner.config.vocabSize,
  }));
  const times: number[] = [];
  for (let i = 0; i < WARM_UP + steps; i++) {
    const start = performance.now();
    const next = await runner.decodeTokens(tokens);
    if (i >= WARM_UP) times.push(performance.now() - start);
    for (const [row, token] of next.entries()) tokens[row]!.token = token;
  }
  return median(times);
}

/** Tells what parts of a pass take. */
export async function logParts(
  runner: CudaRunner,
  what: string,
  log: (line: string) => void,
  run: () => Promise<unknown>,
): Promise<void> {
  await run();
  const parts = await runner.partTimes(run);
  const told = [...parts].map(([label, ms]) => `${label} ${ms.toFixed(3)}`);
  log(`  ${what}, ms: ${told.join("; ")}`);
}

export async function withRunner<T>(
  name: ShapeName,
  { isSmall, log }: GpuBench,
  maxSequences: number,
  use: (runner: CudaRunner) => Promise<T>,
): Promise<T> {
  const start = performance.now();
  const runner = await CudaRunner.random(shapeOf(name, isSmall), { dtype: "bf16", maxSequences });
  log(`${name}: weights made in ${Math.round(performance.now() - start)} ms`);
  try {
    return await use(runner);
  } finally {
    await runner.dispose();
  }
}
