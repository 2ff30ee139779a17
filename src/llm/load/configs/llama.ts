/** @file `config.json` of Llama, Mistral, Qwen2 and Qwen3, in the words of transformers 4 (`rope_scaling`) and 5 (`rope_parameters`). */
import { z } from "zod";
import type { DecoderConfig } from "../../models/decoder.ts";
import type { RotaryConfig, RotaryScaling } from "../../models/rotary.ts";
import { damagedModel, unsupported } from "../modelErrors.ts";
import { count, eosTokenIds, layerCount, parse } from "./parse.ts";

const ropeSchema = z.object({
  rope_type: z.string().nullish(),
  type: z.string().nullish(),
  rope_theta: z.number().positive().nullish(),
  factor: z.number().positive().nullish(),
  original_max_position_embeddings: count.nullish(),
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

const llamaSchema = z.object({
  hidden_size: count,
  intermediate_size: count,
  num_hidden_layers: layerCount,
  num_attention_heads: count,
  num_key_value_heads: count.nullish(),
  head_dim: count.nullish(),
  vocab_size: count,
  max_position_embeddings: count.default(2048),
  rms_norm_eps: z.number().positive().default(1e-6),
  hidden_act: z.string().default("silu"),
  rope_theta: z.number().positive().nullish(),
  rope_scaling: ropeSchema.nullish(),
  rope_parameters: ropeSchema.nullish(),
  original_max_position_embeddings: count.nullish(),
  sliding_window: count.nullish(),
  use_sliding_window: z.boolean().nullish(),
  max_window_layers: z.int().min(0).nullish(),
  layer_types: z.array(z.string()).nullish(),
  tie_word_embeddings: z.boolean().default(false),
  attention_bias: z.boolean().default(false),
  mlp_bias: z.boolean().default(false),
  eos_token_id: eosTokenIds,
});

type Llama = z.infer<typeof llamaSchema>;

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

/** The window of all layers. Llama's own configurations ignore one; Qwen's has a switch, and may leave layers out. */
function slidingWindow(modelType: string, c: Llama, where: string): number | null {
  if (modelType === "llama") return null;
  const isMistral = modelType === "mistral";
  if (!isMistral && c.use_sliding_window !== true) return null;
  const window = c.sliding_window === undefined ? DEFAULT_WINDOW : c.sliding_window;
  const whole = isMistral ? 0 : Math.min(c.max_window_layers ?? QWEN_WHOLE_LAYERS, c.num_hidden_layers);
  const windowed = c.layer_types
    ? c.layer_types.filter((type) => type === "sliding_attention").length
    : c.num_hidden_layers - whole;
  if (window === null || windowed === 0) return null;
  if (windowed === c.num_hidden_layers) return window;
  const known = "a sliding window in all layers or in none";
  throw unsupported(where, "a sliding window in some layers", `${windowed} of ${c.num_hidden_layers}`, known);
}

/** @throws ParetoError LLM_MODEL_DAMAGED, LLM_UNSUPPORTED */
export function llamaConfig(modelType: string, json: unknown, where: string): DecoderConfig {
  const c = parse(llamaSchema, json, where);
  if (c.hidden_act !== "silu" && c.hidden_act !== "swish")
    throw unsupported(where, "this activation", c.hidden_act, "silu");
  const rope = c.rope_parameters ?? c.rope_scaling ?? {};
  const headDim = c.head_dim ?? c.hidden_size / c.num_attention_heads;
  const kvHeads = c.num_key_value_heads ?? c.num_attention_heads;
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
    eosTokenIds: c.eos_token_id,
  };
}
