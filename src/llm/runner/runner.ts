/**
 * @file What runs a language model for everything above it: generation, beams, batches, evaluation, benchmarks.
 *
 * A runner holds a model and some sequences; a sequence holds one text, which is its KV cache. Texts of one call may be of any
 * lengths: there is no padding, and a text in a batch is computed as if it were alone (on a GPU within rounding, as
 * sums are taken in another order). Noise is keyed by the text's seed and stream and by positions, never by its sequence.
 * Calls come one after the other: await each.
 *
 * A text is read, then continued token by token. Reading once more is a further turn: its tokens attend causally to
 * what was kept and to each other, their scores accumulate at the temperature of the last step (a turn does not
 * advance it), and then the cache is trimmed to the budget, a share being one of all tokens seen by then.
 */
import type { KvDecision, LayerPolicies } from "../kv/policy.ts";
import type { LayerSnapshot } from "../kv/snapshot.ts";
import type { DecoderConfig } from "../models/decoder.ts";

/** How a text is cached. */
export interface SequenceOptions {
  policies: LayerPolicies;
  /** Tokens that decoding may add; the cache makes room for them. */
  maxNewTokens: number;
  /** Of the policy's noise. Defaults to 0. */
  seed?: number;
  /** Which of the seed's independent streams of noise, a 32-bit unsigned integer. Defaults to 0. */
  stream?: number;
  /** Tokens of the whole prompt, where it comes in pieces. Defaults to those of the first read. */
  promptTokens?: number;
  /** Told each decision of the policy, as it is made. */
  onDecision?: (decision: KvDecision) => void;
}

/** Tokens that a text reads at once. */
export interface SequenceTokens {
  sequence: number;
  /** At least one. */
  tokens: readonly number[];
  /**
   * More of the same prompt or turn follows: nothing is evicted yet. A prompt comes to the same in any pieces where
   * `promptTokens` is given. So does a further turn, but under a policy that scores the last queries alone: its length
   * is not known until it ends, so those of each piece count.
   */
  more?: boolean;
}

/** A token that a text reads in decode. */
export interface SequenceToken {
  sequence: number;
  token: number;
}

/** What a text's cache holds. */
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

/** A text between two calls. Plain data: it may be stored, and restored on any runner of the same model. */
export interface SequenceSnapshot {
  /** Tokens seen, kept or not. */
  tokensSeen: number;
  /** Tokens that the budget is a share of: those seen when the last read ended. */
  promptTokens: number;
  /** Tokens decoded, which is the step of the policy's temperature. */
  decodedTokens: number;
  layers: LayerSnapshot[];
}

/** A model and its sequences. */
export interface LlmRunner {
  readonly config: DecoderConfig;
  /** Texts that it holds at most. Sequences are 0 … sequences − 1. */
  readonly maxSequences: number;

  /**
   * Compiles what a read of prompts and a step of every sequence need. Whoever leaves it out pays for it in the first calls.
   * @param prompts tokens of each prompt that is read together
   */
  prepare(...prompts: readonly number[]): Promise<void>;

  /**
   * Empties a sequence and sets how its next text is cached.
   * @throws ParetoError LLM_SEQUENCE for a sequence that is not there
   */
  begin(sequence: number, options: SequenceOptions): void;

  /**
   * Reads prompts, pieces of them, or further turns; each sequence at most once a call.
   * @returns logits `[texts, vocabulary]` of the token after each text's last one, the caller's to keep
   * @throws ParetoError LLM_SEQUENCE for a sequence that is not there or has not begun; LLM_PROMPT for no token or one that the
   * model lacks; LLM_CONTEXT, KV_LOGITS_NOT_FINITE, LLM_LOGITS and what the policy refuses
   */
  prefill(texts: readonly SequenceTokens[]): Promise<Float32Array>;

  /**
   * Reads one token of each of the given texts.
   * @returns logits `[texts, vocabulary]`, the caller's to keep
   * @throws ParetoError as `read`, and LLM_PROMPT for a text that has not read its prompt
   */
  decode(tokens: readonly SequenceToken[]): Promise<Float32Array>;

  /** As `step`, but gives the most probable token of each text, of equals the lowest; `[texts]`. */
  decodeGreedy(tokens: readonly SequenceToken[]): Promise<Int32Array>;

  /**
   * Makes sequence `to` hold what sequence `from` holds, with its options. Memory is copied at once or when one of them is next
   * written. What `to` held is gone. A text goes to itself at no cost.
   * @throws ParetoError LLM_SEQUENCE
   */
  fork(from: number, to: number): Promise<void>;

  /** A copy of a text's state. @throws ParetoError LLM_SEQUENCE, or LLM_PROMPT within a prompt or turn that comes in pieces */
  snapshot(sequence: number): Promise<SequenceSnapshot>;

  /**
   * Brings back a text, in a sequence that has begun with the options that the text had.
   * @throws ParetoError LLM_SEQUENCE, LLM_SNAPSHOT for one of another model's shape
   */
  restore(sequence: number, snapshot: SequenceSnapshot): Promise<void>;

  /** Empties a sequence and frees its memory. */
  release(sequence: number): void;

  /** What a sequence's cache holds; zeros before its first read. */
  memory(sequence: number): SequenceMemory;

  /** Frees the model and all sequences; the runner cannot be used afterwards. */
  dispose(): Promise<void>;
}
