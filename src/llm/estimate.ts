/**
 * @file What a model will take before anything of it is loaded: bytes of weights and caches, and the rate of tokens
 * that memory allows, with every token cached and under a policy.
 *
 * Bytes of caches are exact: they are those that a runner allocates. The peak adds an estimate of what a prompt's
 * computation holds. A rate is a limit, not a forecast: a decode step reads each weight once and each live entry once,
 * so no step is shorter than these bytes take; products and launches come on top.
 */
import { sizeOf } from "../base/shape.ts";
import { full } from "./kv/policies/full.ts";
import { cacheBytes, ELEMENT_BYTES } from "./kv/cacheBytes.ts";
import type { LayerPolicies } from "./kv/policy.ts";
import type { DecoderConfig } from "./models/decoder.ts";
import { decoderOf } from "./models/models.ts";
import { requireNumber, requireNumbers } from "./optionChecks.ts";
import type { LlmDtype } from "./runner/dtype.ts";

/** What is to be run. */
export interface EstimateOptions {
  /** Tokens of the prompt of each sequence. */
  contextTokens: number;
  /** Tokens that are decoded of each sequence. */
  newTokens: number;
  /** Sequences at a time; they are read together. Defaults to 1. */
  batch?: number;
  policies: LayerPolicies;
  /** Where it runs; defaults to `cpu`. A GPU's caches have a place for each entry's rank, whatever the policy. */
  device?: "cpu" | "cuda";
  dtype: LlmDtype;
  /** Bytes a second at which the device's memory is read; rates are null without it. */
  bandwidth?: number | null;
}

/** What one way of caching takes. */
export interface CacheEstimate {
  /** Keys and values, when all new tokens are decoded. */
  kvBytes: number;
  /** Their positions and scores, and ranks where entries are numbered anew. */
  bookkeepingBytes: number;
  /** Most bytes of caches at a time, which is while the prompt is read: a layer holds all of it until it has evicted. */
  promptPeakBytes: number;
  /** Weights, caches and what is computed with, at the worst moment. */
  peakBytes: number;
  /** Bytes that a decode step of the batch reads, the mean over the new tokens. */
  stepBytes: number;
  /** New tokens a second of the whole batch that `bandwidth` allows; null without one. */
  tokensPerSecond: number | null;
}

/** What {@link estimate} answers. */
export interface Estimate {
  parameters: number;
  weightBytes: number;
  /** Keys and values of one token in all layers. */
  kvBytesPerToken: number;
  /** Rows of the prompt between two layers. An estimate, without what libraries take. */
  activationBytes: number;
  /** With every token cached. */
  full: CacheEstimate;
  policy: CacheEstimate;
  /**
   * The shortest prompts, all else equal, at which the policy pays; null where no prompt up to 2^24 tokens does.
   * `bytes`: a decode step reads fewer bytes than with a full cache, positions and scores included. `tenPercent`: those
   * bytes take 10 % less time, weights included.
   */
  paysFrom: { bytes: number | null; tenPercent: number | null };
}

/** Rows of a prompt that a layer's products work on at a time, at most. */
const BLOCK_ROWS = 4096;
/** Longest prompt that is looked at for where a policy pays. */
const MOST_CONTEXT = 2 ** 24;
/** Embeddings: of their rows a step reads one a sequence, unless they are the head too. */
const EMBEDDING = /(^|\.)(embed_tokens|wte|wpe)\.weight$/;

/** The least whole number from 1 to {@link MOST_CONTEXT} from which `holds` is true; null when it is not at the last. */
function leastFrom(holds: (n: number) => boolean): number | null {
  if (!holds(MOST_CONTEXT)) return null;
  let [low, high] = [0, MOST_CONTEXT];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (holds(middle)) high = middle;
    else low = middle;
  }
  return high;
}

/**
 * What a model of a shape takes and allows.
 * @throws ParetoError LLM_OPTION, and what the policies refuse
 */
export function estimate(config: DecoderConfig, options: EstimateOptions): Estimate {
  const { contextTokens, newTokens, batch = 1, policies, dtype, bandwidth = null, device = "cpu" } = options;
  const tokens = { min: 1, max: MOST_CONTEXT, isWhole: true };
  requireNumbers("estimate", options, { contextTokens: tokens, newTokens: tokens, batch: tokens });
  if (bandwidth !== null) requireNumber("estimate", "bandwidth", bandwidth, { above: 0 });
  const elementBytes = ELEMENT_BYTES[dtype];
  const { tensors } = decoderOf(config);
  let parameters = 0;
  let readParameters = 0;
  for (const [name, shape] of tensors) {
    const size = sizeOf(shape);
    parameters += size;
    const isLookup = EMBEDDING.test(name) && !(config.tieWordEmbeddings && !name.endsWith("wpe.weight"));
    readParameters += isLookup ? batch * shape[1]! : size;
  }
  const weightBytes = parameters * elementBytes;
  const weightsRead = readParameters * elementBytes;
  const { hiddenSize, heads, kvHeads, headDim, intermediateSize, vocabSize, layers } = config;
  const rows = batch * contextTokens;
  // Hidden states, queries, what attention gave, keys and values of all rows; the MLP's of a block.
  const perRow = hiddenSize + 2 * heads * headDim + 2 * kvHeads * headDim;
  const activationBytes =
    elementBytes * (rows * perRow + 2 * intermediateSize * Math.min(rows, BLOCK_ROWS)) +
    4 * batch * vocabSize;
  const at = (of: LayerPolicies, contextTokens: number) =>
    cacheBytes(config, of, { contextTokens, newTokens, batch, elementBytes, device });
  const estimateOf = (of: LayerPolicies): CacheEstimate => {
    const { readBytes, ...cache } = at(of, contextTokens);
    const stepBytes = weightsRead + readBytes;
    return {
      ...cache,
      peakBytes: weightBytes + activationBytes + cache.promptPeakBytes,
      stepBytes,
      tokensPerSecond: bandwidth === null ? null : (batch * bandwidth) / stepBytes,
    };
  };
  const reads = (of: LayerPolicies, context: number) => weightsRead + at(of, context).readBytes;
  return {
    parameters,
    weightBytes,
    kvBytesPerToken: 2 * layers * kvHeads * headDim * elementBytes,
    activationBytes,
    full: estimateOf(full),
    policy: estimateOf(policies),
    paysFrom: {
      bytes: leastFrom((n) => reads(policies, n) < reads(full, n)),
      tenPercent: leastFrom((n) => reads(policies, n) <= 0.9 * reads(full, n)),
    },
  };
}
