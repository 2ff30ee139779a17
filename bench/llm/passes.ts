/**
 * @file What the measurements of language models on one GPU do: open a model of random weights, fill seats with a text,
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
function promptOf({ vocabulary }: DecoderConfig, tokens: number): number[] {
  return Array.from({ length: tokens }, (_, i) => (i * 7919 + (i >> 5)) % vocabulary);
}

const half = { ratioOfPrompt: 0.5 };
export const keyformerHalf: LayerPolicies = () => keyformer({ budget: half, horizon: 1024 });
/** The same length of cache, with nothing scored: what scoring costs is what is missing here. */
export const windowHalf: LayerPolicies = () => window({ budget: half });

/** Reads a prompt in seat 0 and copies it to the others. @returns seconds of the prompt */
export async function fill(
  runner: CudaRunner,
  policies: LayerPolicies,
  { prompt, seats, room }: { prompt: number; seats: number; room: number },
): Promise<number> {
  for (let seat = 0; seat < runner.seats; seat++) runner.release(seat);
  runner.begin(0, { policies, maxNewTokens: room });
  await runner.prepare(prompt);
  const start = performance.now();
  await runner.read([{ seat: 0, tokens: promptOf(runner.config, prompt) }]);
  const seconds = (performance.now() - start) / 1000;
  for (let seat = 1; seat < seats; seat++) await runner.fork(0, seat);
  return seconds;
}

/** One greedy step of the first seats. */
export function stepOnce(runner: CudaRunner, seats: number): Promise<Int32Array> {
  return runner.stepGreedy(Array.from({ length: seats }, (_, seat) => ({ seat, token: seat })));
}

/** Median milliseconds of greedy steps of the first seats, from the host's call to its answer. */
export async function stepMs(runner: CudaRunner, seats: number, steps = STEPS): Promise<number> {
  const tokens = Array.from({ length: seats }, (_, seat) => ({
    seat,
    token: seat % runner.config.vocabulary,
  }));
  const times: number[] = [];
  for (let i = 0; i < WARM_UP + steps; i++) {
    const start = performance.now();
    const next = await runner.stepGreedy(tokens);
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
  seats: number,
  use: (runner: CudaRunner) => Promise<T>,
): Promise<T> {
  const start = performance.now();
  const runner = await CudaRunner.random(shapeOf(name, isSmall), { dtype: "bf16", seats });
  log(`${name}: weights made in ${Math.round(performance.now() - start)} ms`);
  try {
    return await use(runner);
  } finally {
    await runner.dispose();
  }
}
