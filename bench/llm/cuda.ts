/**
 * @file Speed and memory of language models on one GPU, in bf16, with random weights of real shapes. Decode is held
 * against the bytes that a step must read at the bandwidth measured in the same run, prompts against the rate of
 * products, and an evicting cache against what the bytes that it saves predict.
 *
 * A generation of thousands of steps is not run step by step: as a full cache grows, the time of a step is measured at
 * five lengths and integrated; under a budget the cache has one length and is measured at that. Texts of a batch are
 * forks of one that was read.
 */
import { full } from "../../src/llm/kv/policies/full.ts";
import type { LayerPolicies } from "../../src/llm/kv/policy.ts";
import type { CudaRunner } from "../../src/llm/cuda/cudaRunner.ts";
import { ParetoError } from "../../src/base/errors.ts";
import { describeGpu } from "../harness/gpu.ts";
import { torchStepMs } from "../harness/torch.ts";
import { kvTokenBytes, matrixElements, promptOperations, stepBytes } from "./counts.ts";
import {
  fill,
  type GpuBench,
  keyformerHalf,
  logParts,
  stepMs,
  stepOnce,
  STEPS,
  WARM_UP,
  windowHalf,
  withRunner,
} from "./passes.ts";
import { peerNames, shapeNames, shapeOf } from "./shapes.ts";
import type { BenchRow } from "../harness/rows.ts";
import { median } from "../harness/timing.ts";

/** Texts of one request that explores, as the paper's; and numbers of requests that do not. */
const BEAMS = 4;
const BATCHES = [1, 8, 32];
/** Places of a generation where a full cache is measured. */
const PLACES = [0, 0.25, 0.5, 0.75, 1];

const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(2)} GB`;
const perSecond = (value: number) => value.toFixed(value < 100 ? 1 : 0);

/** Decode of one text after 1,024 tokens with a full cache. */
export async function* decodeRows(bench: GpuBench): AsyncGenerator<BenchRow, void, undefined> {
  const prompt = bench.isSmall ? 40 : 1024;
  for (const name of shapeNames) {
    const config = shapeOf(name, bench.isSmall);
    const [ms, launches] = await withRunner(name, bench, 1, async (runner) => {
      await fill(runner, () => full(), { prompt, sequences: 1, room: 64 });
      const ms = await stepMs(runner, 1, 2 * STEPS);
      await logParts(runner, "a step", bench.log, () => stepOnce(runner, 1));
      return [ms, runner.layerLaunches] as const;
    });
    const bytes = stepBytes(config, 1, prompt);
    const limitMs = (1000 * bytes) / bench.rates.bandwidth;
    const ratio = limitMs / ms;
    const peer = await torchStepMs(peerNames[name], prompt, 1);
    bench.log(`${name}: ${ms.toFixed(3)} ms a token, ${launches} launches a layer`);
    yield {
      case: `decode ${name}`,
      size: `1 text after ${prompt} tokens, full cache, ${gigabytes(bytes)} a token`,
      milliseconds: ms,
      figure: `${perSecond(1000 / ms)} tokens/s`,
      limit: `${perSecond(1000 / limitMs)} tokens/s at ${(bench.rates.bandwidth / 1e9).toFixed(0)} GB/s`,
      ratio,
      target: "≥ 0.70",
      met: ratio >= 0.7,
    };
    if (peer === null) continue;
    yield {
      case: `decode ${name}, peer`,
      size: `1 text after ${prompt} tokens, transformers`,
      milliseconds: peer,
      figure: `${perSecond(1000 / peer)} tokens/s`,
      limit: `${perSecond(1000 / ms)} tokens/s, Pareto`,
      ratio: peer / ms,
      target: "",
      met: null,
    };
  }
}

/** Prompts of 4,096 tokens, kept whole and under Keyformer. */
export async function* promptRows(bench: GpuBench): AsyncGenerator<BenchRow, void, undefined> {
  const prompt = bench.isSmall ? 64 : 4096;
  for (const name of shapeNames) {
    const config = shapeOf(name, bench.isSmall);
    const [plain, scored] = await withRunner(name, bench, 1, async (runner) => {
      const best = async (policies: LayerPolicies) => {
        const times: number[] = [];
        for (let i = 0; i < 4; i++)
          times.push(await fill(runner, policies, { prompt, sequences: 1, room: 1 }));
        await logParts(runner, "a prompt", bench.log, () =>
          fill(runner, policies, { prompt, sequences: 1, room: 1 }),
        );
        return 1000 * median(times.slice(1));
      };
      return [await best(() => full()), await best(keyformerHalf)] as const;
    });
    bench.log(`${name}: prompt ${plain.toFixed(1)} ms, with scores ${scored.toFixed(1)} ms`);
    const operations = promptOperations(config, prompt);
    for (const [cached, ms] of [
      ["full cache", plain],
      ["Keyformer at 50 %", scored],
    ] as const) {
      const rate = (1000 * operations) / ms;
      const ratio = rate / bench.rates.products;
      const hasTarget = cached === "full cache";
      yield {
        case: `prompt ${name}`,
        size: `${prompt} tokens, ${cached}, ${(operations / 1e12).toFixed(1)} T operations`,
        milliseconds: ms,
        figure: `${(rate / 1e12).toFixed(0)} TFLOP/s, ${perSecond((1000 * prompt) / ms)} tokens/s`,
        limit: `${(bench.rates.products / 1e12).toFixed(0)} TFLOP/s of bf16 products`,
        ratio,
        target: hasTarget ? "≥ 0.45" : "",
        met: hasTarget ? ratio >= 0.45 : null,
      };
    }
  }
}

/** Times of a step of the first `counts[i]` texts with a full cache, the mean over a generation. */
async function fullMs(
  runner: CudaRunner,
  prompt: number,
  generated: number,
  counts: readonly number[],
): Promise<number[]> {
  const steps = counts.length * (STEPS + WARM_UP);
  const times = counts.map((): number[] => []);
  // The longest first: shorter ones fit in the same memory.
  for (const place of PLACES.toReversed()) {
    const length = prompt + Math.round(place * (generated - steps));
    await fill(runner, () => full(), { prompt: length, sequences: Math.max(...counts), room: steps });
    for (const [i, count] of counts.entries()) times[i]!.push(await stepMs(runner, count));
  }
  // Between two places it grows with the length.
  return times.map((own) => {
    let sum = 0;
    for (let i = 1; i < own.length; i++) sum += (own[i - 1]! + own[i]!) / 2;
    return sum / (own.length - 1);
  });
}

async function keyformerMs(runner: CudaRunner, prompt: number, counts: readonly number[]): Promise<number[]> {
  const room = counts.length * (STEPS + WARM_UP);
  await fill(runner, keyformerHalf, { prompt, sequences: Math.max(...counts), room });
  const times: number[] = [];
  for (const count of counts) times.push(await stepMs(runner, count));
  return times;
}

/** Share of the device's memory that may hold caches beside weights and scratch. */
const KV_SHARE = 0.7;

/** Keyformer at half the prompt against a full cache. */
export async function* keyformerRows(bench: GpuBench): AsyncGenerator<BenchRow, void, undefined> {
  const name = "MPT-7B";
  const config = shapeOf(name, bench.isSmall);
  const lengths = bench.isSmall ? [64] : [1024, 2048, 4096];
  const configurations = [
    { label: `beam ${BEAMS}`, texts: BEAMS },
    ...BATCHES.map((texts) => ({ label: `batch ${texts}`, texts })),
  ];
  const counts = configurations.map(({ texts }) => texts);
  const { memoryBytes } = await describeGpu();
  yield* await withRunner(name, bench, Math.max(...counts), async (runner) => {
    const rows: BenchRow[] = [];
    for (const length of lengths) {
      const wholeBytes = (texts: number) => texts * 2 * length * kvTokenBytes(config);
      const fitting = counts.filter((texts) => wholeBytes(texts) <= KV_SHARE * memoryBytes);
      const wholes = await fullMs(runner, length, length, fitting);
      const evictings = await keyformerMs(runner, length, counts);
      for (const [i, { label, texts }] of configurations.entries()) {
        const evicting = evictings[i]!;
        const size = `${length}+${length}, ${label}`;
        const row = { case: `Keyformer at 50 %, ${name}`, size, milliseconds: evicting };
        const whole = wholes[fitting.indexOf(texts)];
        if (whole === undefined) {
          bench.log(`${size}: Keyformer ${evicting.toFixed(2)} ms`);
          rows.push({
            ...row,
            figure: `${perSecond((1000 * texts) / evicting)} tokens/s`,
            limit: `a full cache takes ${gigabytes(wholeBytes(texts))}`,
            ratio: null,
            target: "",
            met: null,
          });
          continue;
        }
        const speedup = whole / evicting;
        const predicted = stepBytes(config, texts, 1.5 * length) / stepBytes(config, texts, length / 2);
        bench.log(`${size}: full ${whole.toFixed(2)} ms, Keyformer ${evicting.toFixed(2)} ms`);
        const ratio = speedup / predicted;
        rows.push({
          ...row,
          figure: `${speedup.toFixed(2)} × full cache (${whole.toFixed(2)} ms)`,
          limit: `${predicted.toFixed(2)} ×, by bytes read`,
          ratio,
          target: "≥ 0.90",
          met: ratio >= 0.9,
        });
      }
    }
    return rows;
  });
}

/** Tries a number of texts, then one less, until their caches fit. */
async function fitting<T>(most: number, use: (texts: number) => Promise<T>): Promise<[number, T]> {
  for (let texts = most; ; texts--) {
    try {
      return [texts, await use(texts)];
    } catch (error) {
      const isFull = error instanceof ParetoError && error.code === "CUDA_OUT_OF_MEMORY";
      if (!isFull || texts === 1) throw error;
    }
  }
}

/** Tokens a second in the memory of a full cache, its scores' cost, and its bytes. */
export async function* memoryRows(bench: GpuBench): AsyncGenerator<BenchRow, void, undefined> {
  const name = "MPT-7B";
  const length = bench.isSmall ? 64 : 4096;
  const config = shapeOf(name, bench.isSmall);
  // Texts under Keyformer that hold as much as so many that keep all.
  const manyOf = (few: number) => Math.floor((few * 2 * length) / (length / 2 + 1));
  const { memoryBytes } = await describeGpu();
  const left = memoryBytes - 2 * matrixElements(config);
  const most = bench.isSmall ? 2 : Math.floor(left / (2 * length * kvTokenBytes(config)));
  // A runner for each, since pieces of freed caches of one length leave gaps where others have to fit.
  const [few, whole] = await withRunner(name, bench, most, (runner) =>
    fitting(most, async (texts) => (await fullMs(runner, length, length, [texts]))[0]!),
  );
  yield* await withRunner(name, bench, manyOf(few), async (runner) => {
    const [many, evicting] = await fitting(
      manyOf(few),
      async (texts) => (await keyformerMs(runner, length, [texts]))[0]!,
    );
    await logParts(runner, `a step of ${many} texts under Keyformer`, bench.log, () =>
      stepOnce(runner, many),
    );
    const bytes = many * runner.memory(0).kvBytes;
    const ratio = many / evicting / (few / whole);
    bench.log(
      `equal memory: full ${few} texts ${whole.toFixed(2)} ms, Keyformer ${many} ${evicting.toFixed(2)} ms`,
    );
    return [
      {
        case: `equal KV memory, ${name}`,
        size: `${length}+${length}, ${few} texts at full cache, ${many} with Keyformer at 50 % (${gigabytes(bytes)})`,
        milliseconds: evicting,
        figure: `${perSecond((1000 * many) / evicting)} tokens/s`,
        limit: `${perSecond((1000 * few) / whole)} tokens/s, full cache`,
        ratio,
        target: "≥ 2.4",
        met: ratio >= 2.4,
      },
      await scoringRow(runner, name, bench),
      await flatRow(runner, name, bench),
    ];
  });
}

/** What scores, noise and eviction add to a step of the same cached length. */
async function scoringRow(runner: CudaRunner, name: string, bench: GpuBench): Promise<BenchRow> {
  const prompt = bench.isSmall ? 64 : 4096;
  const times: number[][] = [[], []];
  for (let round = 0; round < 3; round++) {
    for (const [i, policies] of [windowHalf, keyformerHalf].entries()) {
      await fill(runner, policies, { prompt, sequences: 1, room: 2 * STEPS + WARM_UP });
      times[i]!.push(await stepMs(runner, 1, 2 * STEPS));
      if (round === 0) await logParts(runner, policies(0).name, bench.log, () => stepOnce(runner, 1));
    }
  }
  const [bare, scored] = times.map(median) as [number, number];
  const share = (scored - bare) / scored;
  bench.log(`scoring: ${bare.toFixed(3)} ms without, ${scored.toFixed(3)} ms with`);
  return {
    case: `scoring and eviction, ${name}`,
    size: `1 text, ${prompt / 2} entries, Keyformer over a window of the same length`,
    milliseconds: scored - bare,
    figure: `${(100 * share).toFixed(1)} % of a step`,
    limit: `${scored.toFixed(3)} ms, the whole step`,
    ratio: share,
    target: "≤ 0.08",
    met: share <= 0.08,
  };
}

/** Bytes of keys and values against the formula, and over 4,000 steps. */
async function flatRow(runner: CudaRunner, name: string, bench: GpuBench): Promise<BenchRow> {
  const { config } = runner;
  const prompt = bench.isSmall ? 32 : 512;
  const steps = bench.isSmall ? 40 : 4000;
  await fill(runner, keyformerHalf, { prompt, sequences: 1, room: steps });
  const before = runner.memory(0);
  const reserved = runner.deviceMemory.reservedBytes;
  await stepMs(runner, 1, steps - WARM_UP);
  const after = runner.memory(0);
  const expected = (prompt / 2 + 1) * kvTokenBytes(config);
  const growth = runner.deviceMemory.reservedBytes - reserved;
  const met = before.kvBytes === expected && after.kvBytes === expected && growth === 0;
  bench.log(`bytes: ${before.kvBytes} before, ${after.kvBytes} after ${steps} steps`);
  return {
    case: `KV bytes, ${name}`,
    size: `Keyformer at 50 % of ${prompt} tokens, before and after ${steps} steps`,
    milliseconds: null,
    figure: `${before.kvBytes} and ${after.kvBytes}; the device's memory grew by ${growth}`,
    limit: `${expected}, 2 · layers · KV heads · head width · 2 bytes · (budget + 1)`,
    ratio: after.kvBytes / expected,
    target: "= 1",
    met,
  };
}

/** Weights and what a token adds, for the results. */
export function shapeResults(
  isSmall: boolean,
): { name: string; weightBytes: number; kvTokenBytes: number }[] {
  return shapeNames.map((name) => {
    const config = shapeOf(name, isSmall);
    return { name, weightBytes: 2 * matrixElements(config), kvTokenBytes: kvTokenBytes(config) };
  });
}
