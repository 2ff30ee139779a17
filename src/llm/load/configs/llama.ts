/** @file `config.json` of Llama, Mistral, Qwen2 and Qwen3, in the words of transformers 4 (`rope_scaling`) and 5 (`rope_parameters`). */
import { z } from "zod";
import type { DecoderConfig } from "../../models/decoder.ts";
import type { RotaryConfig, RotaryScaling } from "../../models/rotary.ts";
import { damagedModel, unsupported } from "../modelErrors.ts";
import { checkKeys } from "./keys.ts";
import {
  count,
  eosTokenIds,
  eosTokenIdsOr,
  headCount,
  layerCount,
  orElse,
  parse,
  positionCount,
} from "./parse.ts";

const ropeSchema = z.object({
  rope_type: z.string().nullish(),
  type: z.string().nullish(),
  rope_theta: z.number().positive().nullish(),
  factor: z.number().positive().nullish(),
  original_max_position_embeddings: positionCount.nullish(),
  low_freq_factor: z.number().nullish(),
  high_freq_factor: z.number().nullish(),
  beta_fast: z.number().nullish(),
  beta_slow: z.number().nullish(),
  mscale: z.number().nullish(),
  mscale_all_dim: z.number().nullish(),
  attention_factor: z.number().nullish(),
  truncate: z.boolean().nullish(),
  short_factor: z.array(z.number()).nullish(),
  long_factor: z.array(z.number()).nullish(),
  partial_rotary_factor: z.number().nullish(),
});
/** Keys of a rotation that change nothing. */
const ROPE_PASSED = ["finetuned", "extrapolation_factor"];

const llamaSchema = z.object({
  hidden_size: count,
  intermediate_size: count,
  num_hidden_layers: layerCount,
  num_attention_heads: headCount,
  num_key_value_heads: headCount.nullish(),
  head_dim: count.nullish(),
  vocab_size: count,
  max_position_embeddings: positionCount.nullish(),
  rms_norm_eps: orElse(z.number().positive(), 1e-6),
  hidden_act: orElse(z.string(), "silu"),
  rope_theta: z.number().positive().nullish(),
  rope_scaling: ropeSchema.nullish(),
  rope_parameters: ropeSchema.nullish(),
  original_max_position_embeddings: positionCount.nullish(),
  sliding_window: positionCount.nullish(),
  use_sliding_window: z.boolean().nullish(),
  max_window_layers: z.int().min(0).nullish(),
  layer_types: z.array(z.string()).nullish(),
  tie_word_embeddings: orElse(z.boolean(), false),
  attention_bias: orElse(z.boolean(), false),
  mlp_bias: orElse(z.boolean(), false),
  eos_token_id: z.unknown().optional(),
});

/** Keys that are read. */
export const llamaKeys = Object.keys(llamaSchema.shape);

/** What transformers takes where a configuration does not say. */
interface Defaults {
  /** Heads of keys and values where the key is left out; null for one for each query head. */
  kvHeads: number | null;
  /** Null for the hidden state shared out among the heads. */
  headDim: number | null;
  maxPositions: number;
  eosTokenIds: typeof eosTokenIds;
}

const defaults: Readonly<Record<string, Defaults>> = {
  llama: { kvHeads: null, headDim: null, maxPositions: 2048, eosTokenIds: eosTokenIdsOr(2) },
  mistral: { kvHeads: 8, headDim: null, maxPositions: 131_072, eosTokenIds: eosTokenIdsOr(2) },
  qwen2: { kvHeads: 32, headDim: null, maxPositions: 32_768, eosTokenIds },
  qwen3: { kvHeads: 32, headDim: 128, maxPositions: 32_768, eosTokenIds },
};

type Llama = z.infer<typeof llamaSchema> & { max_position_embeddings: number };

function required(value: number | null | undefined, name: string, where: string): number {
  if (value === null || value === undefined) throw damagedModel(where, `the rotation needs ${name}`, "none");
  return value;
}

function rotaryScaling(
  c: Llama,
  rope: z.infer<typeof ropeSchema>,
  headDim: number,
  where: string,
): RotaryScaling {
  const kind = rope.rope_type ?? rope.type ?? "default";
  const share = rope.partial_rotary_factor ?? 1;
  if (share !== 1)
    throw unsupported(where, "a rotation of a part of each head", share, "partial_rotary_factor: 1");
  const original =
    rope.original_max_position_embeddings ?? c.original_max_position_embeddings ?? c.max_position_embeddings;
  const factor = () => required(rope.factor, "factor", where);
  switch (kind) {
    case "default":
      return { kind };
    case "linear":
      return { kind, factor: factor() };
    case "dynamic":
      return { kind, factor: factor(), original: c.max_position_embeddings };
    case "llama3":
      return {
        kind,
        factor: factor(),
        lowFrequency: required(rope.low_freq_factor, "low_freq_factor", where),
        highFrequency: required(rope.high_freq_factor, "high_freq_factor", where),
        original,
      };
    case "yarn": {
      const stretch = rope.factor ?? c.max_position_embeddings / original;
      const magnitude = (scale: number) => (stretch <= 1 ? 1 : 0.1 * scale * Math.log(stretch) + 1);
      const { mscale, mscale_all_dim: all } = rope;
      return {
        kind,
        factor: stretch,
        betaFast: rope.beta_fast || 32,
        betaSlow: rope.beta_slow || 1,
        original,
        attentionFactor:
          rope.attention_factor ?? (mscale && all ? magnitude(mscale) / magnitude(all) : magnitude(1)),
        truncate: rope.truncate ?? true,
      };
    }
    case "longrope": {
      const stretch = rope.factor ?? c.max_position_embeddings / original;
      const [short, long] = [rope.short_factor, rope.long_factor];
      if (!short || !long) throw damagedModel(where, "longrope needs short_factor and long_factor", "none");
      for (const { length } of [short, long]) {
        if (length === headDim / 2) continue;
        throw damagedModel(where, `the factors of longrope must be ${headDim / 2}, one a pair`, length);
      }
      return {
        kind,
        shortFactor: short,
        longFactor: long,
        original,
        attentionFactor:
          rope.attention_factor ?? (stretch <= 1 ? 1 : Math.sqrt(1 + Math.log(stretch) / Math.log(original))),
      };
    }
    default:
      throw unsupported(
        where,
        "this kind of rotation",
        kind,
        "default, linear, dynamic, llama3, yarn, longrope",
      );
  }
}

/** Where the file does not say, as transformers has it: a window, and Qwen's first layers that have none. */
const DEFAULT_WINDOW = 4096;
const QWEN_WHOLE_LAYERS = 28;

/** Kinds of layers that `layer_types` may name. */
const LAYER_TYPES = ["full_attention", "sliding_attention"];

/**
 * The window of each layer. Llama's own configurations ignore one; Qwen's has a switch, and leaves its first layers out.
 * `layer_types` names each layer's kind: for Mistral too, as transformers' auto classes have it.
 */
function slidingWindow(modelType: string, c: Llama, where: string): (layer: number) => number | null {
  const types = c.layer_types;
  if (types && types.length !== c.num_hidden_layers)
    throw damagedModel(where, `layer_types must name ${c.num_hidden_layers} layers`, types.length);
  const other = types?.find((type) => !LAYER_TYPES.includes(type));
  if (other !== undefined) throw unsupported(where, "this kind of layer", other, LAYER_TYPES.join(", "));
  const none = () => null;
  const isSliding = (layer: number) => types?.[layer] === "sliding_attention";
  if (modelType === "llama") {
    if (types?.some((_, layer) => isSliding(layer)))
      throw unsupported(
        where,
        "a sliding window in a Llama",
        "sliding_attention",
        "layer_types of full_attention",
      );
    return none;
  }
  const isMistral = modelType === "mistral";
  const window = c.sliding_window === undefined ? DEFAULT_WINDOW : c.sliding_window;
  if (!isMistral && c.use_sliding_window !== true) {
    if (types?.some((_, layer) => isSliding(layer)))
      throw unsupported(
        where,
        "layers with a window that is switched off",
        "use_sliding_window: false",
        "use_sliding_window: true, or layer_types of full_attention",
      );
    return none;
  }
  if (window === null) return none;
  if (types) return (layer) => (isSliding(layer) ? window : null);
  const whole = isMistral ? 0 : (c.max_window_layers ?? QWEN_WHOLE_LAYERS);
  return (layer) => (layer >= whole ? window : null);
}

/** @throws ParetoError LLM_MODEL_DAMAGED, LLM_UNSUPPORTED */
export function llamaConfig(modelType: string, json: unknown, where: string): DecoderConfig {
  const byDefault = defaults[modelType]!;
  const parsed = parse(llamaSchema, json, where);
  const c = { ...parsed, max_position_embeddings: parsed.max_position_embeddings ?? byDefault.maxPositions };
  if (c.hidden_act !== "silu" && c.hidden_act !== "swish")
    throw unsupported(where, "this activation", c.hidden_act, "silu");
  const rope = c.rope_parameters ?? c.rope_scaling ?? {};
  const [other] = checkKeys(
    (json as Llama).rope_parameters ?? (json as Llama).rope_scaling ?? {},
    where,
    Object.keys(ropeSchema.shape),
    ROPE_PASSED,
  );
  if (other !== undefined)
    throw unsupported(where, "this key of a rotation", other, Object.keys(ropeSchema.shape).join(", "));
  const headDim =
    (c.head_dim === undefined ? byDefault.headDim : c.head_dim) ?? c.hidden_size / c.num_attention_heads;
  const heads = c.num_attention_heads;
  // Where transformers' number would not divide the heads, no such model runs there.
  const isDivisible = byDefault.kvHeads !== null && heads % byDefault.kvHeads === 0;
  const usual = c.num_key_value_heads === undefined && isDivisible ? byDefault.kvHeads : null;
  const kvHeads = c.num_key_value_heads ?? usual ?? heads;
  if (!Number.isInteger(headDim) || headDim % 2 !== 0)
    throw damagedModel(where, "heads need a whole, even number of elements", headDim);
  if (c.num_attention_heads % kvHeads !== 0)
    throw damagedModel(where, `${c.num_attention_heads} query heads must divide into groups`, kvHeads);
  const rotary: RotaryConfig = {
    dim: headDim,
    theta: rope.rope_theta ?? c.rope_theta ?? 10_000,
    isInterleaved: false,
    scaling: rotaryScaling(c, rope, headDim, where),
  };
  const hasBias = modelType !== "mistral" && c.attention_bias;
  return {
    family: "llama",
    modelType,
    layers: c.num_hidden_layers,
    hiddenSize: c.hidden_size,
    heads: c.num_attention_heads,
    kvHeads,
    headDim,
    intermediateSize: c.intermediate_size,
    vocabSize: c.vocab_size,
    maxPositions: c.max_position_embeddings,
    normEpsilon: c.rms_norm_eps,
    activation: "silu",
    rotary,
    tieWordEmbeddings: c.tie_word_embeddings,
    biases: {
      queryKeyValue: modelType === "qwen2" || hasBias,
      output: modelType !== "qwen2" && hasBias,
      mlp: modelType === "llama" && c.mlp_bias,
    },
    alibiSlopes: null,
    hasLearnedPositions: false,
    clip: null,
    logitScale: 1,
    hasHeadNorm: modelType === "qwen3",
    slidingWindow: slidingWindow(modelType, c, where),
    attentionScale: () => 1 / Math.sqrt(headDim),
    eosTokenIds: parse(z.object({ eos_token_id: byDefault.eosTokenIds }), json, where).eos_token_id,
  };
}
