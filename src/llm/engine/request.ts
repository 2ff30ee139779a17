/** @file What an engine is asked for, and the events that it answers with. */
import type { ChoiceRequest } from "../../run/policies/choose.ts";
import type { SamplerOptions } from "../generate/sampler.ts";
import type { KvDecisionEvent } from "../kv/decisionEvent.ts";
import type { LayerPolicies } from "../kv/policy.ts";
import type { SequenceMemory } from "../runner/runner.ts";

/** How a sequence's keys and values are cached. */
export interface CacheRequest {
  /** The policy: text such as `keyformer:budget=50%`, or the policy of each layer. Defaults to `full`. */
  kv?: ChoiceRequest | LayerPolicies;
  /** What the policy's noise is keyed by: a seed, and which of its independent streams. Both default to 0. */
  noise?: { seed?: number; stream?: number };
  /** Receives each decision of the policy, as it is made. */
  onDecision?: (decision: KvDecisionEvent) => void;
}

/** How new tokens are chosen, and when they end. */
export interface TokenRequest {
  /** At least one token. */
  prompt: readonly number[];
  /** Most new tokens. */
  maxNewTokens: number;
  /** How tokens are chosen. Defaults to the most probable ones. */
  sampling?: SamplerOptions;
  /** Tokens after which the sequence is over, besides the model's own; they are not given. */
  stopTokenIds?: readonly number[];
  /** Goes on behind the model's end-of-sequence tokens. Defaults to false. */
  ignoreEos?: boolean;
  /** The first new tokens, decoded whatever the model would choose; they count as new tokens and end nothing. */
  forced?: readonly number[];
  /** Adds the log-probability of each new token. Defaults to false. */
  hasLogProbabilities?: boolean;
  /** Ends the sequence at the next token. */
  signal?: AbortSignal;
}

/** A sequence to generate. */
export interface GenerateRequest extends CacheRequest, TokenRequest {
  /** What events and decisions call it. Defaults to its number among the engine's requests. */
  id?: string;
  /** Beams that search for the most probable tokens, a sequence of the runner each, in place of sampling. Defaults to 1. */
  beams?: number;
  /** New tokens that the cache makes room for. Defaults to `maxNewTokens`, of which the last is never decoded. */
  cachedNewTokens?: number;
}

/** Why a sequence is over: a stop token, its number of tokens, or a signal. */
export type FinishReason = "stop" | "length" | "abort";

/** A new token. Beams give all of theirs when the search is over. */
export interface NewTokenEvent {
  event: "token";
  id: string;
  /** 0 for the first new token. */
  index: number;
  token: number;
  /** Natural logarithm of the probability that the model gave it, without temperature; where it was asked for. */
  logProbability?: number;
}

/** A sequence is over; its last event. */
export interface EndEvent {
  event: "end";
  id: string;
  finishReason: FinishReason;
  promptTokens: number;
  /** All new tokens, without a stop token. */
  tokens: readonly number[];
  /** Where they were asked for, one a token. */
  logProbabilities?: readonly number[];
  /** Of beams: the mean log-probability of the tokens, the stop token included. */
  score?: number;
  /** What the caches of its sequences held at the end; null where it was aborted before it began. */
  memory: SequenceMemory | null;
  /** Time spent waiting, in the pass of its prompt, and in decode passes. */
  seconds: { waiting: number; prefill: number; decode: number };
  /** Decode passes. The first token comes from the prompt's pass. */
  decodeSteps: number;
}

/** What {@link LlmEngine.generate} gives, in order. */
export type TokenEvent = NewTokenEvent | EndEvent;

/** A conversation to begin. */
export interface ConversationRequest extends CacheRequest {
  /** What events and decisions call it. Defaults to a number of the engine's. */
  id?: string;
  /** New tokens of all turns: the horizon of the policy's temperature, and what the cache makes room for. */
  maxNewTokens: number;
}
