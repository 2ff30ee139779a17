/**
 * @file One text that a model reads and continues: the prompt in one pass, layer after layer, then token by token.
 *
 * A layer evicts as soon as it has attended to the whole prompt, so at any time one layer alone holds all of it.
 */
import { ParetoError } from "../../engine/errors.ts";
import { KvCache, type KvDecision } from "../kv/kvCache.ts";
import type { LayerPolicies } from "../kv/policy.ts";
import { CachedAttention } from "./cachedAttention.ts";
import type { DenseDecoder } from "./denseDecoder.ts";

/** A text's cache and its noise. */
export interface SessionOptions {
  policies: LayerPolicies;
  /** Tokens that will be decoded at most; the cache makes room for them. */
  maxNewTokens: number;
  /** Of the policy's noise. Defaults to 0. */
  seed?: number;
  /** Told each decision of the policy. */
  onDecision?: (decision: KvDecision) => void;
}

/** What a text's cache holds. */
export interface SessionMemory {
  /** Bytes of keys and values that the cache has room for now. */
  kvBytes: number;
  /** Bytes of their positions and scores. */
  bookkeepingBytes: number;
  /** Bytes of the keys and values of every token seen. */
  fullKvBytes: number;
  /** Tokens evicted, the mean over layers and KV heads. */
  evictedTokens: number;
  tokensSeen: number;
}

/** A model's state of one text. */
export class LlmSession {
  readonly #dense: DenseDecoder;
  readonly #options: SessionOptions;
  #cache: KvCache | null = null;
  #attention: CachedAttention | null = null;
  #tokensSeen = 0;

  constructor(dense: DenseDecoder, options: SessionOptions) {
    this.#dense = dense;
    this.#options = options;
  }

  /**
   * Reads the prompt.
   * @returns the logits `[vocabulary]` of the token after it
   * @throws ParetoError LLM_PROMPT for an empty prompt, a second one or a token that the model lacks, LLM_CONTEXT,
   * KV_LOGITS_NOT_FINITE, KV_BUDGET and what else the policy refuses
   */
  async prompt(tokens: readonly number[]): Promise<Float32Array> {
    const { config } = this.#dense;
    if (this.#cache) throw badPrompt("a session reads one prompt", "a second one");
    if (tokens.length === 0) throw badPrompt("a prompt needs a token", "none");
    for (const token of tokens) this.#requireToken(token);
    const { policies, maxNewTokens, seed = 0, onDecision } = this.#options;
    // The last token that is chosen is never read. Told now, and not in the middle of a text.
    const isRenumbered = policies(0).positions === "new";
    this.#requirePosition(tokens.length - 1 + (isRenumbered ? 0 : Math.max(0, maxNewTokens - 1)));
    this.#cache = new KvCache({
      layers: config.layers,
      queryHeads: config.heads,
      kvHeads: config.kvHeads,
      headDim: config.headDim,
      ...(config.slidingWindow !== null && { attentionWindow: config.slidingWindow }),
      promptTokens: tokens.length,
      maxNewTokens,
      seed,
      stream: 0,
      policies,
      ...(onDecision && { onDecision }),
    });
    this.#attention = new CachedAttention(config, this.#cache);
    this.#tokensSeen = tokens.length;
    let block = await this.#dense.begin(tokens, 0);
    for (let layer = 0; ; layer++) {
      const attended = this.#attention.prompt(layer, block);
      if (layer + 1 < config.layers) {
        block = await this.#dense.between(layer, block.hidden, attended);
        continue;
      }
      // Only the last token's logits are wanted.
      const last = attended.slice(-config.heads * config.headDim);
      return this.#dense.end(block.hidden.slice(-config.width), last);
    }
  }

  /**
   * Reads one more token.
   * @returns the logits `[vocabulary]` of the token after it
   * @throws ParetoError LLM_PROMPT before a prompt or for a token that the model lacks, LLM_CONTEXT,
   * KV_LOGITS_NOT_FINITE
   */
  async step(token: number): Promise<Float32Array> {
    const { config } = this.#dense;
    const attention = this.#attention;
    if (!attention || !this.#cache) throw badPrompt("a session reads its prompt first", `token ${token}`);
    this.#requireToken(token);
    const position = this.#cache.layers[0]!.nextPosition(0);
    this.#requirePosition(position);
    this.#tokensSeen++;
    let block = await this.#dense.begin([token], position);
    for (let layer = 0; ; layer++) {
      const attended = attention.step(layer, block);
      if (layer + 1 === config.layers) return this.#dense.end(block.hidden, attended);
      block = await this.#dense.between(layer, block.hidden, attended);
    }
  }

  /** What the cache holds; zeros before the prompt. */
  get memory(): SessionMemory {
    const { layers, kvHeads, headDim } = this.#dense.config;
    const stats = this.#cache?.stats;
    return {
      kvBytes: stats?.kvBytes ?? 0,
      bookkeepingBytes: stats?.bookkeepingBytes ?? 0,
      fullKvBytes: this.#tokensSeen * layers * kvHeads * headDim * 2 * Float32Array.BYTES_PER_ELEMENT,
      evictedTokens: (stats?.evictedEntries ?? 0) / (layers * kvHeads),
      tokensSeen: this.#tokensSeen,
    };
  }

  #requireToken(token: number): void {
    const { vocabulary } = this.#dense.config;
    if (Number.isInteger(token) && token >= 0 && token < vocabulary) return;
    throw badPrompt(`tokens of this model are whole numbers below ${vocabulary}`, `${token}`);
  }

  /** Learned positions end; others go on, beyond what the model was trained for. */
  #requirePosition(position: number): void {
    const { maxPositions, hasLearnedPositions } = this.#dense.config;
    if (!hasLearnedPositions || position < maxPositions) return;
    throw new ParetoError({
      code: "LLM_CONTEXT",
      where: "LlmSession",
      message: `the model has learned ${maxPositions} positions, got position ${position}`,
      fix: "Shorten the prompt or generate fewer tokens, or take a policy that numbers positions anew.",
    });
  }
}

function badPrompt(message: string, received: string): ParetoError {
  return new ParetoError({
    code: "LLM_PROMPT",
    where: "LlmSession",
    message: `${message}, got ${received}`,
    fix: "Make a session for each text; give it the prompt's tokens once, then one token a step.",
  });
}
