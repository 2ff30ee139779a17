/** @file A small model for tests of attention alone: only what attention reads matters. */
import type { DecoderConfig } from "../../../src/llm/models/decoder.ts";

/** A small model's attention. */
export function attentionConfig(options: Partial<DecoderConfig> = {}): DecoderConfig {
  const { heads = 4, headDim = 16 } = options;
  return {
    family: "llama",
    modelType: "test",
    layers: 2,
    hiddenSize: heads * headDim,
    heads,
    kvHeads: 2,
    headDim,
    intermediateSize: 8,
    vocabSize: 8,
    maxPositions: 512,
    normEpsilon: 1e-5,
    activation: "silu",
    rotary: { dim: headDim, theta: 10_000, isInterleaved: false, scaling: { kind: "default" } },
    alibiSlopes: null,
    hasLearnedPositions: false,
    tieWordEmbeddings: true,
    biases: { queryKeyValue: false, output: false, mlp: false },
    hasHeadNorm: false,
    clip: null,
    logitScale: 1,
    slidingWindow: () => null,
    attentionScale: () => 1 / Math.sqrt(headDim),
    eosTokenIds: [],
    ...options,
  };
}
