/** @file Bytes of the KV caches of sequences under a policy, to the byte those that a runner allocates. */
import type { DecoderConfig } from "../models/decoder.ts";
import type { LlmDtype } from "../runner/dtype.ts";
import { budgetCapacity, meanAttended } from "./capacity.ts";
import type { KvPolicy, LayerPolicies } from "./policy.ts";

/** Bytes of an element of keys and values. */
export const ELEMENT_BYTES: Readonly<Record<LlmDtype, number>> = { f32: 4, bf16: 2, f16: 2 };
/** A position (int32) and a score (float32); a rank (int32). */
const BOOKKEEPING_BYTES = 8;
const RANK_BYTES = 4;

/** Sequences and how they are stored. */
export interface CacheSizes {
  /** Tokens of each prompt. */
  contextTokens: number;
  /** Tokens that are decoded of each. */
  newTokens: number;
  /** Sequences. */
  batch: number;
  /** Bytes of an element of keys and values. */
  elementBytes: number;
  /** A GPU's caches have a place for each entry's rank, whatever the policy. */
  device: "cpu" | "cuda";
}

/** What caches take. */
export interface CacheBytes {
  /** Keys and values, when all new tokens are decoded. */
  kvBytes: number;
  /** Their positions and scores, and ranks where entries are numbered anew. */
  bookkeepingBytes: number;
  /** Most bytes at a time, which is during prefill: a layer holds all of the prompt until it has evicted. */
  promptPeakBytes: number;
  /** Bytes that a decode step reads, the mean over the new tokens. */
  readBytes: number;
}

/** Bytes of positions and scores that a decode step moves for each live entry, to score and to choose the one that goes. */
function scoringBytes(policy: KvPolicy, contextTokens: number): number {
  if (policy.budget(contextTokens) === Number.POSITIVE_INFINITY) return 0;
  const { scoring } = policy;
  // The position is read (noise is keyed by it, the newest are found by it), the score read and written.
  if (scoring.from === "attention" && scoring.rows !== "window") return 12;
  // Entries are evicted by age alone.
  if (scoring.from === "nothing" || scoring.from === "attention") return 4;
  return 8;
}

/**
 * What the caches of some sequences with prompts of one length take.
 * @throws ParetoError what the policies refuse
 */
export function cacheBytes(
  config: DecoderConfig,
  policies: LayerPolicies,
  { contextTokens, newTokens, batch, elementBytes, device }: CacheSizes,
): CacheBytes {
  const { layers, kvHeads, headDim, slidingWindow } = config;
  const kvEntryBytes = kvHeads * 2 * headDim * elementBytes;
  let entries = 0;
  let promptEntries = 0;
  let bookkeepingBytes = 0;
  let entryBytes = 0;
  let readBytes = 0;
  for (let layer = 0; layer < layers; layer++) {
    const policy = policies(layer);
    const budget = policy.budget(contextTokens);
    const sequence = { budget, evictEvery: policy.evictEvery, promptTokens: contextTokens, newTokens };
    const capacity = budgetCapacity(sequence);
    const isRanked = device === "cuda" || policy.positions === "new";
    const bookkeeping = kvHeads * (BOOKKEEPING_BYTES + (isRanked ? RANK_BYTES : 0));
    entries += capacity;
    bookkeepingBytes += capacity * bookkeeping;
    entryBytes = Math.max(entryBytes, kvEntryBytes + bookkeeping);
    if (budget < contextTokens) {
      // Under shared scores no layer evicts before the last one has read the prompt; others share one layer's room.
      promptEntries = policy.scope === "shared" ? promptEntries + contextTokens : contextTokens;
    }
    const attended = meanAttended(sequence, slidingWindow(layer) ?? Number.POSITIVE_INFINITY);
    readBytes += attended * (kvEntryBytes + kvHeads * scoringBytes(policy, contextTokens));
  }
  const kvBytes = batch * entries * kvEntryBytes;
  bookkeepingBytes *= batch;
  return {
    kvBytes,
    bookkeepingBytes,
    promptPeakBytes: kvBytes + bookkeepingBytes + batch * promptEntries * entryBytes,
    readBytes: batch * readBytes,
  };
}
