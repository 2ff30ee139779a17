/** @file How many sequences an evaluation holds at a time. */
import { estimate } from "../estimate.ts";
import { full } from "../kv/policies/full.ts";
import type { DecoderConfig } from "../models/decoder.ts";
import { dtypeOf, type LlmDtype } from "../runner/dtype.ts";

/** Sequences that are worth holding together: more do not go faster. */
const MOST = { cpu: 8, cuda: 128 } as const;
/** Share of the memory that weights and sequences may take. */
const SHARE = 0.6;

/** What sequences take. */
export interface MaxSequencesOptions {
  /** Tokens of a sequence, and how many of them are decoded. */
  tokens: number;
  decoded: number;
  device: "cpu" | "cuda";
  /** Defaults to f32 on `cpu`, bf16 on `cuda`. */
  dtype?: LlmDtype;
  memoryBytes: number;
}

/** Sequences that fit in memory with every token cached, between 1 and what is of use. */
export function maxSequencesFor(
  config: DecoderConfig,
  { tokens, decoded, device, dtype, memoryBytes }: MaxSequencesOptions,
): number {
  const peak = (batch: number) =>
    estimate(config, {
      contextTokens: Math.max(1, tokens - decoded),
      newTokens: decoded,
      batch,
      policies: full,
      device,
      dtype: dtypeOf(device, dtype, "maxSequencesFor"),
    }).full.peakBytes;
  const one = peak(1);
  const each = peak(2) - one;
  return Math.max(1, Math.min(MOST[device], Math.floor((SHARE * memoryBytes - one) / each) + 1));
}
