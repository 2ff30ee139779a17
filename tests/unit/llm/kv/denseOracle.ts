/**
 * @file Keyformer by masks alone, in float64: every key is kept, evicted ones are masked with −∞, and each step is
 * computed anew from all tokens. Written apart from the cache, for the test that compaction equals masking.
 */
import { PairNoise } from "../../../../src/llm/kv/noise.ts";

/** One KV head's tensors over the whole text, rows of `headDim`. */
export interface HeadTensors {
  /** A list for each query head of the group. */
  queries: Float64Array[][];
  keys: Float64Array[];
  values: Float64Array[];
}

/** What {@link denseKeyformer} takes beside the tensors. */
export interface OracleOptions {
  kvHead: number;
  promptTokens: number;
  budget: number;
  recent: number;
  tau: (step: number) => number;
  seed: number;
  layer: number;
  /** Added to the logit of a query head for a key. */
  bias: (queryHead: number, query: number, key: number) => number;
}

/** What attention gave for each query: outputs by query head, and who was masked after it. */
export interface OracleStep {
  outputs: Float64Array[];
  alive: number[];
}

/** Attends to all tokens in turn. */
export function denseKeyformer(tensors: HeadTensors, options: OracleOptions): OracleStep[] {
  const { kvHead, promptTokens, budget, recent, tau, layer, bias } = options;
  const noise = new PairNoise({ seed: options.seed, stream: 0 }, layer);
  const total = tensors.keys.length;
  const group = tensors.queries.length;
  const masked: boolean[] = Array.from({ length: total }, () => false);
  const score = new Float64Array(total);
  const steps: OracleStep[] = [];
  for (let query = 0; query < total; query++) {
    const outputs = tensors.queries.map((queries, member) => {
      const head = kvHead * group + member;
      const logits = tensors.keys.map((key, at) =>
        at > query || masked[at]
          ? -Infinity
          : dot(queries[query]!, key) / Math.sqrt(key.length) + bias(head, query, at),
      );
      const step = Math.max(0, query - promptTokens + 1);
      const noisy = logits.map((x, at) => (x + noise.sample("gumbel", head, query, at)) / tau(step));
      for (const [at, weight] of softmax(noisy).entries()) score[at]! += weight / group;
      const weights = softmax(logits);
      return tensors.values[0]!.map((_, d) =>
        tensors.values.reduce((sum, value, at) => sum + weights[at]! * value[d]!, 0),
      );
    });
    if (query >= promptTokens - 1) {
      for (;;) {
        const alive = range(query + 1).filter((at) => !masked[at]);
        if (alive.length <= budget) break;
        const older = alive.filter((at) => at <= query - recent);
        const worst = older.reduce((least, at) => (score[at]! <= score[least]! ? at : least));
        masked[worst] = true;
      }
    }
    steps.push({ outputs, alive: range(query + 1).filter((at) => !masked[at]) });
  }
  return steps;
}

/** softmax in float64. */
export function softmax(logits: readonly number[]): number[] {
  const most = Math.max(...logits);
  const powers = logits.map((x) => Math.exp(x - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((x) => x / sum);
}

/** Inner product. */
export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let at = 0; at < a.length; at++) sum += a[at]! * b[at]!;
  return sum;
}

function range(length: number): number[] {
  return Array.from({ length }, (_, at) => at);
}
