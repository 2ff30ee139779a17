/**
 * @file Llama and those built like it (Mistral, Qwen2, Qwen3, SmolLM): RMSNorm, rotated queries and keys in groups,
 * an MLP gated by SiLU. Tensor names are those of Hugging Face transformers; matrices are `[outputs, inputs]`.
 */
import type { Tensor } from "../../engine/graph/node.ts";
import { matmul } from "../../engine/graph/ops/contraction.ts";
import { add, mul, sigmoid } from "../../engine/graph/ops/elementwise.ts";
import { gather } from "../../engine/graph/ops/indexing.ts";
import { reshape } from "../../engine/graph/ops/movement.ts";
import type { Shape } from "../../base/shape.ts";
import { rmsNorm } from "../../nn/functional.ts";
import type { Decoder, DecoderConfig, DecoderLayout } from "./decoder.ts";
import { projections, WeightLayout, type FamilyTensors } from "./weightLayout.ts";

/** The layers that give queries, keys and values. */
function queryKeyValue(layer: number): string[] {
  return ["q", "k", "v"].map((part) => `model.layers.${layer}.self_attn.${part}_proj`);
}

/** The two layers before the gate. */
function gated(layer: number): string[] {
  return ["gate", "up"].map((part) => `model.layers.${layer}.mlp.${part}_proj`);
}

/** The tensors of a model, by name. */
function tensorsOf(c: DecoderConfig): FamilyTensors {
  const stacks: string[][] = [];
  const tensors = new Map<string, Shape>([["model.embed_tokens.weight", [c.vocabSize, c.hiddenSize]]]);
  const linear = (name: string, outputs: number, inputs: number, bias: boolean) => {
    tensors.set(`${name}.weight`, [outputs, inputs]);
    if (bias) tensors.set(`${name}.bias`, [outputs]);
  };
  for (let layer = 0; layer < c.layers; layer++) {
    const at = `model.layers.${layer}`;
    stacks.push(queryKeyValue(layer), gated(layer));
    tensors.set(`${at}.input_layernorm.weight`, [c.hiddenSize]);
    linear(`${at}.self_attn.q_proj`, c.heads * c.headDim, c.hiddenSize, c.biases.queryKeyValue);
    linear(`${at}.self_attn.k_proj`, c.kvHeads * c.headDim, c.hiddenSize, c.biases.queryKeyValue);
    linear(`${at}.self_attn.v_proj`, c.kvHeads * c.headDim, c.hiddenSize, c.biases.queryKeyValue);
    linear(`${at}.self_attn.o_proj`, c.hiddenSize, c.heads * c.headDim, c.biases.output);
    if (c.hasHeadNorm) {
      tensors.set(`${at}.self_attn.q_norm.weight`, [c.headDim]);
      tensors.set(`${at}.self_attn.k_norm.weight`, [c.headDim]);
    }
    tensors.set(`${at}.post_attention_layernorm.weight`, [c.hiddenSize]);
    linear(`${at}.mlp.gate_proj`, c.intermediateSize, c.hiddenSize, c.biases.mlp);
    linear(`${at}.mlp.up_proj`, c.intermediateSize, c.hiddenSize, c.biases.mlp);
    linear(`${at}.mlp.down_proj`, c.hiddenSize, c.intermediateSize, c.biases.mlp);
  }
  tensors.set("model.norm.weight", [c.hiddenSize]);
  if (!c.tieWordEmbeddings) tensors.set("lm_head.weight", [c.vocabSize, c.hiddenSize]);
  return { tensors, stacks };
}

/** A model of this family. */
export function llama(config: DecoderConfig, layout?: DecoderLayout): Decoder {
  const family = tensorsOf(config);
  const weights = new WeightLayout(family, layout);
  const { headDim, normEpsilon } = config;
  const { dtype } = weights;
  const linear = (name: string, x: Tensor) => weights.linear(name, x);
  const norm = (name: string, x: Tensor) => rmsNorm(x, weights.tensor(`${name}.weight`), normEpsilon);
  const headNorm = (name: string, x: Tensor) =>
    config.hasHeadNorm ? reshape(norm(name, reshape(x, [x.shape[0]!, -1, headDim])), x.shape) : x;
  return {
    config,
    dtype,
    tensors: family.tensors,
    states: weights.states,
    layerPrefix: "model.layers.",
    embed: (tokens) => gather(weights.tensor("model.embed_tokens.weight"), tokens),
    ...projections((layer, hidden) => {
      const at = `model.layers.${layer}`;
      const { parts, whole } = weights.stacked(queryKeyValue(layer), norm(`${at}.input_layernorm`, hidden));
      const [q, k, v] = parts;
      return {
        q: headNorm(`${at}.self_attn.q_norm`, q!),
        k: headNorm(`${at}.self_attn.k_norm`, k!),
        v: v!,
        whole: config.hasHeadNorm ? null : whole,
      };
    }),
    finish: (layer, hidden, attended) => {
      const at = `model.layers.${layer}`;
      const h = add(hidden, linear(`${at}.self_attn.o_proj`, attended));
      const { parts } = weights.stacked(gated(layer), norm(`${at}.post_attention_layernorm`, h));
      const [gate, up] = parts;
      const inner = mul(mul(gate!, sigmoid(gate!)), up!);
      return add(h, linear(`${at}.mlp.down_proj`, inner));
    },
    head: (hidden) => {
      const matrix = weights.tensor(
        config.tieWordEmbeddings ? "model.embed_tokens.weight" : "lm_head.weight",
      );
      return matmul(norm("model.norm", hidden), matrix, { transposeB: true, outDtype: "float32" });
    },
  };
}
