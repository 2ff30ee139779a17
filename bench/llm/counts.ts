/** @file Bytes that a decode step must read, and operations that a prompt takes. */
import { sizeOf } from "../../src/base/shape.ts";
import type { DecoderConfig } from "../../src/llm/models/decoder.ts";
import { decoderOf } from "../../src/llm/models/models.ts";

/** Bytes of an element of bf16. */
const ELEMENT_BYTES = 2;

/** Elements of matrices that multiply every row; the embedding counts where it is the head. */
export function matrixElements(config: DecoderConfig): number {
  let elements = 0;
  for (const [name, { shape }] of decoderOf(config, { isMerged: true }).states) {
    const isLookup = /(wte|wpe|embed_tokens)\.weight$/.test(name) && !config.tieWordEmbeddings;
    if (shape.length === 2 && !isLookup) elements += sizeOf(shape);
  }
  return elements;
}

/** Bytes of keys and values of a token. */
export function kvTokenBytes({ layers, kvHeads, headDim }: DecoderConfig): number {
  return 2 * layers * kvHeads * headDim * ELEMENT_BYTES;
}

/** Bytes that a step of so many texts, with so many entries each, cannot do without. */
export function stepBytes(config: DecoderConfig, texts: number, entries: number): number {
  return ELEMENT_BYTES * matrixElements(config) + texts * entries * kvTokenBytes(config);
}

/** Operations of a prompt: a multiplication and an addition each; the head computes one row. */
export function promptOperations(config: DecoderConfig, tokens: number): number {
  const { layers, heads, headDim, vocabSize, hiddenSize } = config;
  const head = vocabSize * hiddenSize;
  const products = 2 * tokens * (matrixElements(config) - head) + 2 * head;
  // Two products over the half of all pairs that is seen.
  const attention = 2 * 2 * layers * heads * headDim * ((tokens * (tokens + 1)) / 2);
  return products + attention;
}
