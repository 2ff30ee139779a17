/**
 * @file Keyformer (Adnan et al., MLSys 2024, arXiv 2403.09054): the newest tokens and the older ones with the largest
 * sum of attention, scored with Gumbel noise and a temperature that rises while tokens are decoded.
 *
 * `mode: "reference-mask"` decides as the authors' published masks do: the token that leaves the recent ones is always
 * dropped, so no decoded token becomes a key token, and a query sees `budget` tokens with itself included.
 */
import { z } from "zod";
import { ParetoError } from "../../../base/errors.ts";
import { choice, decimal, wholeNumber } from "../../../base/optionSchemas.ts";
import { definePolicy } from "../../../run/policies/policy.ts";
import {
  type Budget,
  budgetTokens,
  checkBudget,
  checkRecent,
  type Recent,
  recentShare,
  recentTokens,
} from "../budget.ts";
import type {
  AttentionScoring,
  GroupReduce,
  KvPolicy,
  KvPolicyContext,
  LayerPolicies,
  NoiseKind,
} from "../policy.ts";
import {
  budgetOption,
  groupReduceOption,
  positionsOption,
  recentOption,
  sinksOption,
} from "../policyOptions.ts";
import { ruled } from "../evictionRule.ts";
import { checkSinks } from "../sinks.ts";
import { type TemperatureOptions, temperatureSchedule } from "../temperature.ts";
import { full } from "./full.ts";
import { gapRule } from "./referenceMask.ts";

/** Of the budget, where a user leaves it out. */
const RECENT_SHARE = 0.3;

/** What {@link keyformer} takes. */
export interface KeyformerOptions extends TemperatureOptions {
  budget: Budget;
  /** Newest entries that stay, part of the budget; 30 % of it when left out (the paper's best are 20 to 30 %). */
  recent?: Recent;
  /**
   * `gumbel` when left out, as the paper has it. `expected` scores as Gumbel noise does on average, without a draw: by
   * softmax(x / ∛(1 + τ³)), the temperature running from that of `tauInit` to that of `tauEnd` (ours, see
   * {@link expectedTemperature}).
   */
  noise?: NoiseKind | "expected";
  /** `fresh` when left out: noise for each query and key, as the authors' code draws it. */
  noiseReuse?: "fresh" | "per-key";
  /**
   * What scores are multiplied by in decode before each new row is added, above 0 and at most 1; 1 when left out. The
   * paper tries 0.875 to 1 and prefers 1; that it spares the prompt's rows is our reading.
   */
  damping?: number;
  /** `layer` when left out; `shared` sums scores over layers, which keep the same tokens. */
  scope?: "layer" | "shared";
  /** `original` when left out, the paper's better variant. */
  positions?: "original" | "new";
  /** `mean` when left out. The paper has no grouped heads. */
  groupReduce?: GroupReduce;
  /** First tokens that stay, part of the budget; 0 when left out, as in the paper. */
  sinks?: number;
  /** Tokens decoded between evictions; 1 when left out, as in the paper. */
  evictEvery?: number;
  /** `paper` when left out. */
  mode?: "paper" | "reference-mask";
}

/**
 * Keyformer's policy for one layer. The recent share is clamped to at least one token and at most the budget, sinks to
 * what the recent ones leave; a `reference-mask` with no recent token never evicts, as the authors' code.
 * @throws ParetoError KV_BUDGET, KV_RECENT, KV_SINKS, KV_TEMPERATURE, KV_EVICT_EVERY, KV_DAMPING,
 *   KV_REFERENCE_MASK
 */
export function keyformer(options: KeyformerOptions): KvPolicy {
  return accumulated("keyformer", options);
}

/** Keyformer with options of each layer's own, or a layer that keeps everything. */
export function keyformerLayers(
  options: KeyformerOptions,
  layers: (layer: number) => Partial<KeyformerOptions> | "full",
): LayerPolicies {
  return (layer) => {
    const own = layers(layer);
    return own === "full" ? full() : keyformer({ ...options, ...own });
  };
}

/** A policy by accumulated attention, under a name: Keyformer, or one that is Keyformer with certain options. */
export function accumulated(name: string, options: KeyformerOptions): KvPolicy {
  const recent = options.recent ?? { share: RECENT_SHARE };
  const sinks = options.sinks ?? 0;
  const evictEvery = options.evictEvery ?? 1;
  checkBudget(options.budget);
  checkRecent(recent);
  checkSinks(sinks);
  checkEvictEvery(evictEvery);
  checkDamping(options.damping);
  const scoring: AttentionScoring = {
    from: "attention",
    rows: "accumulate",
    temperature: temperatureSchedule(options.noise === "expected" ? expectedSchedule(options) : options),
    noise: options.noise === "expected" ? "none" : (options.noise ?? "gumbel"),
    noiseReuse: options.noiseReuse ?? "fresh",
    groupReduce: options.groupReduce ?? "mean",
    heads: "each",
    ...(options.damping !== undefined && { damping: options.damping }),
  };
  const common = {
    name,
    scoring,
    positions: options.positions ?? "original",
    scope: options.scope ?? "layer",
    evictEvery,
  };
  if (options.mode === "reference-mask") {
    checkReferenceMask(sinks, evictEvery);
    return {
      ...common,
      budget: (promptTokens) => {
        const visible = budgetTokens(options.budget, promptTokens);
        return recentShare(recent, visible) === 0 ? Infinity : visible - 1;
      },
      ...ruled((budget) => gapRule(Math.min(recentShare(recent, budget + 1), budget + 1))),
    };
  }
  return {
    ...common,
    budget: (promptTokens) => budgetTokens(options.budget, promptTokens),
    ...ruled((budget) => {
      const newest = recentTokens(recent, budget);
      const first = Math.min(sinks, budget - newest);
      return { sinks: first, recent: newest, keep: "score", evict: "score", evictFrom: first, hasGap: false };
    }),
  };
}

/**
 * The temperature at which a plain softmax is nearest to the mean of softmax((x + ζ) / τ) over Gumbel noise ζ: ∛(1 + τ³).
 * It is 1 for τ → 0, where the mean is softmax(x) exactly, and τ for large τ. In total variation the two lie some 0.03
 * apart at τ = 1, where softmax(x / τ) lies 0.06 to 0.17 from the mean, and 0.01 at τ = 2, for logits of deviation 1 to 4
 * (our measurement).
 */
export function expectedTemperature(tau: number): number {
  return Math.cbrt(1 + tau ** 3);
}

/** The schedule of `noise: "expected"`: as long as the one asked for, between temperatures without noise. */
function expectedSchedule(options: KeyformerOptions): TemperatureOptions {
  const { tauInit = 1, tauEnd = 2, tauDelta } = options;
  const start = expectedTemperature(tauInit);
  const end = expectedTemperature(tauEnd);
  const scale = tauInit === tauEnd ? 1 : (end - start) / (tauEnd - tauInit);
  return {
    ...(options.horizon !== undefined && { horizon: options.horizon }),
    tauInit: start,
    tauEnd: end,
    ...(tauDelta !== undefined && { tauDelta: tauDelta * scale }),
  };
}

function checkEvictEvery(evictEvery: number): void {
  if (Number.isInteger(evictEvery) && evictEvery >= 1) return;
  throw new ParetoError({
    code: "KV_EVICT_EVERY",
    where: "evictEvery",
    message: `tokens between evictions are a whole number of at least 1, got ${evictEvery}`,
    fix: "Use 1 to evict at each token.",
  });
}

function checkDamping(damping = 1): void {
  if (damping > 0 && damping <= 1) return;
  throw new ParetoError({
    code: "KV_DAMPING",
    where: "damping",
    message: `scores are damped by a number above 0 and at most 1, got ${damping}`,
    fix: "Leave it out, or use 0.975.",
  });
}

function checkReferenceMask(sinks: number, evictEvery: number): void {
  if (sinks === 0 && evictEvery === 1) return;
  throw new ParetoError({
    code: "KV_REFERENCE_MASK",
    where: 'mode "reference-mask"',
    message: `the authors' masks have no sinks and change at each token, got sinks ${sinks}, evictEvery ${evictEvery}`,
    fix: 'Leave sinks and evictEvery out, or use mode "paper".',
  });
}

/** `keyformer` by name. */
export const keyformerDefinition = definePolicy({
  kind: "kv.evict",
  name: "keyformer",
  summary:
    "Keeps the newest tokens and the older ones with the largest sum of attention, scored with Gumbel noise and a rising temperature.",
  source: "Adnan et al., MLSys 2024, arXiv 2403.09054",
  options: z.object({
    budget: budgetOption,
    recent: recentOption(RECENT_SHARE),
    noise: choice(["gumbel", "gaussian", "constant", "none", "expected"])
      .default("gumbel")
      .describe("Noise on the logits that are scored; expected scores as gumbel does on average."),
    noiseReuse: choice(["fresh", "per-key"])
      .default("fresh")
      .describe("Whether noise is drawn for each query and key, or once a key."),
    tauInit: decimal({ above: 0 }).default(1).describe("Temperature of scores in the prompt."),
    tauEnd: decimal({ above: 0 })
      .default(2)
      .describe("Temperature of scores at the last new token and later."),
    tauDelta: decimal()
      .optional()
      .describe(
        "Change of temperature per new token, in place of an even rise from tauInit to tauEnd over the new tokens.",
      ),
    damping: decimal({ above: 0, max: 1 })
      .default(1)
      .describe("What scores are multiplied by before the attention of a new token is added."),
    scope: choice(["layer", "shared"])
      .default("layer")
      .describe(
        "Whether each layer keeps its own tokens, or all share one choice by the sum of their scores.",
      ),
    positions: positionsOption("original"),
    groupReduce: groupReduceOption,
    sinks: sinksOption(0),
    evictEvery: wholeNumber({ min: 1 }).default(1).describe("New tokens between evictions."),
    mode: choice(["paper", "reference-mask"])
      .default("paper")
      .describe("As the paper says, or as the authors' published masks do."),
  }),
  create: ({ tauDelta, ...options }, { maxNewTokens }: KvPolicyContext) =>
    // A single token has no later step, but the schedule wants one.
    keyformer({
      ...options,
      ...(tauDelta !== undefined && { tauDelta }),
      horizon: Math.max(1, maxNewTokens),
    }),
});
