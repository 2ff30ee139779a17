/**
 * @file What runs a language model for everything above it: the engine, evaluation, benchmarks.
 *
 * A runner holds a model and up to `maxSequences` sequences, numbered from 0, each with its own KV cache. Sequences of one
 * call may be of any lengths: there is no padding, and each is computed as if it were alone (on a GPU within
 * rounding, as sums are taken in another order). Noise is keyed by the sequence's seed and stream and by positions,
 * never by its number. Calls come one after the other: await each.
 *
 * Prefill reads a prompt, decode continues it token by token. Prefill once more is a further turn: its tokens attend
 * causally to what was kept and to each other, their scores accumulate at the temperature of the last decode step (a
 * turn does not advance it), and then the cache is trimmed to the budget, a share being one of all tokens seen by
 * then.
 */
import type { Sampler } from "../generate/sampler.ts";
import type { KvDecision, LayerPolicies } from "../kv/policy.ts";
import type { LayerSnapshot } from "../kv/snapshot.ts";
import type { DecoderConfig } from "../models/decoder.ts";
import type { LlmDtype } from "./dtype.ts";

/** How a sequence is cached. */
export interface SequenceOptions {
  policies: LayerPolicies;
  /** Tokens that decoding may add; the cache makes room for them. */
  maxNewTokens: number;
  /** Of the policy's noise. Defaults to 0. */
  seed?: number;
  /** Which of the seed's independent streams of noise, a 32-bit unsigned integer. Defaults to 0. */
  stream?: number;
  /** Tokens of the whole prompt, where it comes in chunks. Defaults to those of the first prefill. */
  promptTokens?: number;
  /** Receives each decision of the policy, as it is made. */
  onDecision?: (decision: KvDecision) => void;
}

/** Tokens that a sequence reads at once. */
export interface SequenceTokens {
  sequence: number;
  /** At least one. */
  tokens: readonly number[];
  /**
   * More of the same prompt or turn follows: nothing is evicted yet. A prompt comes to the same in any chunks where
   * `promptTokens` is given. So does a further turn, but under a policy that scores the last queries alone: its length
   * is not known until it ends, so those of each chunk count.
   */
  more?: boolean;
}

/** A token that a sequence decodes. */
export interface SequenceToken {
  sequence: number;
  token: number;
}

/** What a sequence's cache holds. */
export interface SequenceMemory {
  /** Bytes of keys and values that the cache has room for now, in the runner's dtype. */
  kvBytes: number;
  /** Bytes of their positions and scores. */
  bookkeepingBytes: number;
  /** Bytes of the keys and values of every token seen. */
  fullKvBytes: number;
  /** Tokens evicted, the mean over layers and KV heads. */
  evictedTokens: number;
  tokensSeen: number;
}

/** A sequence between two calls. Plain data: it may be stored, and restored on any runner of the same model. */
export interface SequenceSnapshot {
  /** Tokens seen, kept or not. */
  tokensSeen: number;
  /** Tokens that the budget is a share of: those seen when the last prefill ended. */
  promptTokens: number;
  /** Tokens decoded, which is the step of the policy's temperature. */
  decodedTokens: number;
  layers: LayerSnapshot[];
}

/** A model and its sequences. */
export interface LlmRunner {
  readonly config: DecoderConfig;
  readonly device: "cpu" | "cuda";
  /** Type of weights, keys and values. */
  readonly dtype: LlmDtype;
  /** Most sequences at a time. They are numbered 0 … maxSequences − 1. */
  readonly maxSequences: number;

  /**
   * Compiles what prefill of some prompts and a decode step of every sequence need. Whoever leaves it out pays for it in
   * the first calls.
   * @param prompts tokens of each prompt that is read in one call
   */
  prepare(...prompts: readonly number[]): Promise<void>;

  /**
   * Empties a sequence and sets how its next prompt is cached.
   * @throws ParetoError LLM_SEQUENCE for a number that the runner does not have
   */
  begin(sequence: number, options: SequenceOptions): void;

  /**
   * Reads prompts, chunks of them, or further turns; each sequence at most once a call.
   * @returns logits `[sequences, vocabSize]` of the token after each one's last token, the caller's to keep
   * @throws ParetoError LLM_SEQUENCE for one that does not exist or has not begun; LLM_PROMPT for no token or one that
   * the model lacks; LLM_CONTEXT, KV_LOGITS_NOT_FINITE, LLM_LOGITS and what the policy refuses
   */
  prefill(sequences: readonly SequenceTokens[]): Promise<Float32Array>;

  /**
   * Decodes one token of each of the given sequences.
   * @returns logits `[sequences, vocabSize]` of the next token, the caller's to keep
   * @throws ParetoError as `prefill`, and LLM_PROMPT for a sequence without its prompt
   */
  decode(tokens: readonly SequenceToken[]): Promise<Float32Array>;

  /**
   * As `decode`, but chooses the next token of each sequence; on the device where it can, which is the most probable one,
   * of equals the lowest.
   * @param samplers one a sequence; the most probable tokens where left out
   * @returns `[sequences]`
   */
  decodeTokens(tokens: readonly SequenceToken[], samplers?: readonly Sampler[]): Promise<Int32Array>;

  /**
   * Makes sequence `to` hold what `from` holds, with its options. Memory is copied at once or when one of them is next
   * written. What `to` held is gone. A fork to itself costs nothing.
   * @throws ParetoError LLM_SEQUENCE
   */
  fork(from: number, to: number): Promise<void>;

  /** A copy of a sequence's state. @throws ParetoError LLM_SEQUENCE, or LLM_PROMPT between chunks of a prompt or turn */
  snapshot(sequence: number): Promise<SequenceSnapshot>;

  /**
   * Brings back a sequence, where one has begun with the options that it had.
   * @throws ParetoError LLM_SEQUENCE, LLM_SNAPSHOT for one of another model's shape
   */
  restore(sequence: number, snapshot: SequenceSnapshot): Promise<void>;

  /** Empties a sequence and frees its memory. */
  release(sequence: number): void;

  /** What a sequence's cache holds; zeros before its first prefill. */
  memory(sequence: number): SequenceMemory;

  /** Frees the model and all sequences; the runner cannot be used afterwards. */
  dispose(): Promise<void>;
}
