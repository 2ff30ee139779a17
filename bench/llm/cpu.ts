/**
 * @file A Llama of some 100 million parameters in float32 on the host: decode against the speed at which the same
 * threads read memory, a prompt against the products in it, and what scores, noise and eviction cost of both.
 * Takes about half a minute.
 */
import { Arena, ThreadPool } from "../../src/engine/targets/cpu/index.ts";
import { trace } from "../../src/engine/graph/graph.ts";
import { matmul } from "../../src/engine/graph/ops/contraction.ts";
import { state } from "../../src/engine/graph/ops/leaf.ts";
import { openDevice } from "../../src/engine/openDevice.ts";
import { Rng } from "../../src/base/rng.ts";
import { sizeOf } from "../../src/base/shape.ts";
import { CpuRunner } from "../../src/llm/cpu/cpuRunner.ts";
import { full } from "../../src/llm/kv/policies/full.ts";
import { keyformer } from "../../src/llm/kv/policies/keyformer.ts";
import type { KvPolicy } from "../../src/llm/kv/policy.ts";
import { readConfig } from "../../src/llm/load/readConfig.ts";
import type { ModelFiles } from "../../src/llm/load/weights.ts";
import { decoderOf } from "../../src/llm/models/models.ts";
import type { BenchRow } from "../harness/rows.ts";
import { median, millisecondsOf } from "../harness/timing.ts";

/** What a run measured; milliseconds are medians. */
export interface LlmCpuResult {
  bench: "llm cpu";
  threads: number;
  parameters: number;
  /** Those that every row of a prompt is multiplied by: all but the embedding. */
  layerParameters: number;
  /** Bytes of weights that a token reads. */
  weightBytes: number;
  promptTokens: number;
  /** By all threads, of memory larger than any cache. */
  readGigabytesPerSecond: number;
  /** Of the largest product of a block of the prompt, alone. */
  productGigaflopsPerSecond: number;
  decode: Record<Arm, Spread>;
  prompt: Record<Arm, Spread>;
}

interface Spread {
  milliseconds: number;
  least: number;
  most: number;
}

type Arm = "full" | "noiseless" | "keyformer";

const BLOCK = 256;
const STEPS = 12;
/** The first steps after a prompt are not counted: threads and caches are elsewhere then. */
const WARM_UP = 4;

function shape(isSmall: boolean) {
  const file = {
    model_type: "llama",
    hidden_size: isSmall ? 64 : 768,
    intermediate_size: isSmall ? 128 : 2048,
    num_hidden_layers: isSmall ? 2 : 12,
    num_attention_heads: isSmall ? 4 : 12,
    vocab_size: isSmall ? 200 : 32_000,
    max_position_embeddings: 4096,
    rms_norm_eps: 1e-5,
    tie_word_embeddings: true,
  };
  return readConfig(JSON.stringify(file), "llama of the benchmark");
}

/** Random weights, made when they are asked for. */
function randomFiles(config: ModelFiles["config"]): ModelFiles {
  const { tensors } = decoderOf(config);
  const rng = new Rng(1);
  const read = async (name: string) => {
    const values = new Float32Array(sizeOf(tensors.get(name)!));
    for (let i = 0; i < values.length; i++) values[i] = 0.08 * (rng.uniform() - 0.5);
    return values;
  };
  return {
    name: "random weights",
    config,
    generation: null,
    notices: [],
    read,
    readStored: async (name) => ({ dtype: "float32", elements: await read(name) }),
    close: async () => {},
  };
}

/** Milliseconds in which the threads read `bytes` bytes, each time asked. */
async function memoryReader(threads: number, bytes: number) {
  const pool = await ThreadPool.create(threads);
  const arena = new Arena(bytes + 2 ** 20);
  const base = arena.allocate(bytes);
  arena.float32At(base, bytes / 4).fill(1);
  const part = 2 ** 20;
  const tasks = Array.from({ length: bytes / part }, (_, i) => {
    const out = arena.allocate(64);
    return { kernel: "readBytes" as const, arena, arguments: [base + i * part, part, out] };
  });
  return { read: () => millisecondsOf(() => pool.run(tasks)), dispose: () => pool.dispose() };
}

/** The product of a block of rows with the largest matrix of a layer, ten times. */
async function productTimer(threads: number, { hiddenSize, intermediateSize }: ModelFiles["config"]) {
  const device = await openDevice("cpu", { threads });
  const times = 10;
  const outputs = 2 * intermediateSize;
  const x = { shape: [BLOCK, hiddenSize], dtype: "float32" } as const;
  for (let i = 0; i < times; i++)
    await device.createState(`w${i}`, { shape: [outputs, hiddenSize], dtype: "float32" });
  const program = await device.compile(
    trace({ x }, ({ x: rows }) => {
      const products = Array.from({ length: times }, (_, i) => {
        const product = matmul(rows!, state(`w${i}`, [outputs, hiddenSize]), { transposeB: true });
        return [state(`y${i}`, [BLOCK, outputs]), product] as const;
      });
      return { outputs: {}, updates: products };
    }),
  );
  for (let i = 0; i < times; i++)
    await device.createState(`y${i}`, { shape: [BLOCK, outputs], dtype: "float32" });
  const feeds = { x: new Float32Array(new SharedArrayBuffer(4 * BLOCK * hiddenSize)) };
  return {
    run: () => millisecondsOf(() => program.run(feeds)),
    flop: times * 2 * BLOCK * hiddenSize * outputs,
    dispose: () => device.dispose(),
  };
}

/** Measures. */
export async function benchLlmCpu(threads: number, isSmall: boolean): Promise<LlmCpuResult> {
  const config = shape(isSmall);
  const promptTokens = isSmall ? 32 : 512;
  const parameters = [...decoderOf(config).tensors.values()].reduce((sum, each) => sum + sizeOf(each), 0);
  const runner = await CpuRunner.open(randomFiles(config), { threads });
  const memory = await memoryReader(threads, isSmall ? 2 ** 22 : 2 ** 29);
  const product = await productTimer(threads, config);
  try {
    await runner.prepare(promptTokens);
    const arms: Record<Arm, (budget: number) => KvPolicy> = {
      full,
      noiseless: (tokens) => keyformer({ budget: { count: tokens }, noise: "none", horizon: 1000 }),
      keyformer: (tokens) => keyformer({ budget: { count: tokens }, horizon: 1000 }),
    };
    const names = Object.keys(arms) as Arm[];
    const empty = () =>
      Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Arm, number[]>;
    const [prompts, steps] = [empty(), empty()];
    const [reads, products]: [number[], number[]] = [[], []];
    const rng = new Rng(2);
    const tokens = Array.from({ length: promptTokens }, () => rng.integer(config.vocabSize));
    for (let round = 0; round < (isSmall ? 2 : 6); round++) {
      for (const name of names) {
        reads.push(await memory.read());
        products.push(await product.run());
        // Half of the prompt is evicted; then, in decode, as many tokens are attended to as with everything kept.
        for (const budget of [promptTokens / 2, promptTokens]) {
          runner.begin(0, { policies: () => arms[name](budget), maxNewTokens: STEPS + 1, seed: round });
          const taken = await millisecondsOf(() => runner.prefill([{ sequence: 0, tokens }]));
          if (budget < promptTokens) prompts[name].push(taken);
        }
        for (let step = 0; step < STEPS; step++) {
          const taken = await millisecondsOf(() =>
            runner.decodeTokens([{ sequence: 0, token: tokens[step]! }]),
          );
          if (step >= WARM_UP) steps[name].push(taken);
        }
      }
    }
    const spreads = (times: Record<Arm, number[]>) =>
      Object.fromEntries(
        names.map((name) => {
          const each = times[name];
          return [name, { milliseconds: median(each), least: Math.min(...each), most: Math.max(...each) }];
        }),
      ) as Record<Arm, Spread>;
    return {
      bench: "llm cpu",
      threads,
      parameters,
      layerParameters: parameters - config.vocabSize * config.hiddenSize,
      weightBytes: 4 * parameters,
      promptTokens,
      readGigabytesPerSecond: (isSmall ? 2 ** 22 : 2 ** 29) / median(reads) / 1e6,
      productGigaflopsPerSecond: product.flop / median(products) / 1e6,
      decode: spreads(steps),
      prompt: spreads(prompts),
    };
  } finally {
    await Promise.all([runner.dispose(), memory.dispose(), product.dispose()]);
  }
}

/** The result's lines of the table. */
export function llmCpuRows(result: LlmCpuResult): BenchRow[] {
  const { decode, prompt, promptTokens, weightBytes } = result;
  const model = `Llama shape, ${(result.parameters / 1e6).toFixed(0)} M parameters, f32`;
  const decodeRate = weightBytes / decode.full.milliseconds / 1e6;
  const promptRate = (2 * result.layerParameters * promptTokens) / prompt.full.milliseconds / 1e6;
  const share = (times: Record<Arm, Spread>, arm: Arm) =>
    (times[arm].milliseconds - times.full.milliseconds) / times[arm].milliseconds;
  const shareRow = (name: string, times: Record<Arm, Spread>, arm: Arm, what: string): BenchRow => ({
    case: `llm cpu ${name}`,
    size: `${promptTokens} tokens, ${what}`,
    milliseconds: times[arm].milliseconds,
    figure: `${(100 * share(times, arm)).toFixed(1)} % for scores and eviction`,
    limit: `${times.full.milliseconds.toFixed(1)} ms with everything kept`,
    ratio: times.full.milliseconds / times[arm].milliseconds,
    target: "",
    met: null,
  });
  return [
    {
      case: "llm cpu decode",
      size: `${model}, after ${promptTokens} tokens`,
      milliseconds: decode.full.milliseconds,
      figure: `${(1000 / decode.full.milliseconds).toFixed(1)} tokens/s, ${decodeRate.toFixed(1)} GB/s of weights`,
      limit: `${result.readGigabytesPerSecond.toFixed(1)} GB/s, ${result.threads} threads reading`,
      ratio: decodeRate / result.readGigabytesPerSecond,
      target: "≥ 0.60",
      met: decodeRate / result.readGigabytesPerSecond >= 0.6,
    },
    shareRow("decode, scored", decode, "noiseless", "no noise"),
    shareRow("decode, scored", decode, "keyformer", "Gumbel noise"),
    {
      case: "llm cpu prompt",
      size: `${model}, ${promptTokens} tokens`,
      milliseconds: prompt.full.milliseconds,
      figure: `${((1000 * promptTokens) / prompt.full.milliseconds).toFixed(0)} tokens/s, ${promptRate.toFixed(0)} GFLOP/s`,
      limit: `${result.productGigaflopsPerSecond.toFixed(0)} GFLOP/s, its largest product alone`,
      ratio: promptRate / result.productGigaflopsPerSecond,
      target: "",
      met: null,
    },
    shareRow("prompt, scored", prompt, "noiseless", "no noise, half kept"),
    shareRow("prompt, scored", prompt, "keyformer", "Gumbel noise, half kept"),
  ];
}
