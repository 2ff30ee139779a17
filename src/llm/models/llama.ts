/**
 * @file Llama and those built like it (Mistral, Qwen2, Qwen3, SmolLM): RMSNorm, rotated queries and keys in groups,
 * an MLP gated by SiLU. Tensor names are those of Hugging Face transformers; matrices are `[outputs, inputs]`.
 */
import type { Tensor } from "../../engine/graph/node.ts";
import { matmul } from "../../engine/graph/ops/contraction.ts";
import { add, div, mul, sigmoid, sqrt } from "../../engine/graph/ops/elementwise.ts";
import { gather } from "../../engine/graph/ops/indexing.ts";
import { state } from "../../engine/graph/ops/leaf.ts";
import { reshape } from "../../engine/graph/ops/movement.ts";
import type { Shape } from "../../engine/shape.ts";
import { mean } from "../../nn/functional.ts";
import type { Decoder, DecoderConfig } from "./decoder.ts";

/** The tensors of a model, by name. */
function tensorsOf(c: DecoderConfig): Map<string, Shape> {
  const tensors = new Map<string, Shape>([["model.embed_tokens.weight", [c.vocabulary, c.width]]]);
  const linear = (name: string, outputs: number, inputs: number, bias: boolean) => {
    tensors.set(`${name}.weight`, [outputs, inputs]);
    if (bias) tensors.set(`${name}.bias`, [outputs]);
  };
  for (let layer = 0; layer < c.layers; layer++) {
    const at = `model.layers.${layer}`;
    tensors.set(`${at}.input_layernorm.weight`, [c.width]);
    linear(`${at}.self_attn.q_proj`, c.heads * c.headDim, c.width, c.biases.queryKeyValue);
    linear(`${at}.self_attn.k_proj`, c.kvHeads * c.headDim, c.width, c.biases.queryKeyValue);
    linear(`${at}.self_attn.v_proj`, c.kvHeads * c.headDim, c.width, c.biases.queryKeyValue);
    linear(`${at}.self_attn.o_proj`, c.width, c.heads * c.headDim, c.biases.output);
    if (c.hasHeadNorm) {
      tensors.set(`${at}.self_attn.q_norm.weight`, [c.headDim]);
      tensors.set(`${at}.self_attn.k_norm.weight`, [c.headDim]);
    }
    tensors.set(`${at}.post_attention_layernorm.weight`, [c.width]);
    linear(`${at}.mlp.gate_proj`, c.innerWidth, c.width, c.biases.mlp);
    linear(`${at}.mlp.up_proj`, c.innerWidth, c.width, c.biases.mlp);
    linear(`${at}.mlp.down_proj`, c.width, c.innerWidth, c.biases.mlp);
  }
  tensors.set("model.norm.weight", [c.width]);
  if (!c.isTied) tensors.set("lm_head.weight", [c.vocabulary, c.width]);
  return tensors;
}

/** A model of this family. */
export function llama(config: DecoderConfig): Decoder {
  const tensors = tensorsOf(config);
  const { headDim, normEpsilon } = config;
  const weight = (name: string) => state(name, tensors.get(name)!);
  const linear = (name: string, x: Tensor) => {
    const y = matmul(x, weight(`${name}.weight`), { transposeB: true });
    return tensors.has(`${name}.bias`) ? add(y, weight(`${name}.bias`)) : y;
  };
  const rmsNorm = (name: string, x: Tensor) =>
    mul(div(x, sqrt(add(mean(mul(x, x), -1, true), normEpsilon))), weight(`${name}.weight`));
  const headNorm = (name: string, x: Tensor) =>
    config.hasHeadNorm ? reshape(rmsNorm(name, reshape(x, [x.shape[0]!, -1, headDim])), x.shape) : x;
  return {
    config,
    tensors,
    embed: (tokens) => gather(weight("model.embed_tokens.weight"), tokens),
    project: (layer, hidden) => {
      const at = `model.layers.${layer}`;
      const x = rmsNorm(`${at}.input_layernorm`, hidden);
      return {
        q: headNorm(`${at}.self_attn.q_norm`, linear(`${at}.self_attn.q_proj`, x)),
        k: headNorm(`${at}.self_attn.k_norm`, linear(`${at}.self_attn.k_proj`, x)),
        v: linear(`${at}.self_attn.v_proj`, x),
      };
    },
    finish: (layer, hidden, attended) => {
      const at = `model.layers.${layer}`;
      const h = add(hidden, linear(`${at}.self_attn.o_proj`, attended));
      const x = rmsNorm(`${at}.post_attention_layernorm`, h);
      const gate = linear(`${at}.mlp.gate_proj`, x);
      const inner = mul(mul(gate, sigmoid(gate)), linear(`${at}.mlp.up_proj`, x));
      return add(h, linear(`${at}.mlp.down_proj`, inner));
    },
    head: (hidden) => {
      const matrix = weight(config.isTied ? "model.embed_tokens.weight" : "lm_head.weight");
      return matmul(rmsNorm("model.norm", hidden), matrix, { transposeB: true });
    },
  };
}
