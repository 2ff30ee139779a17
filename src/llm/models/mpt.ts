/**
 * @file MPT: LayerNorm, one product for queries, keys and values, an MLP with GELU, no positions but ALiBi's; as a
 * rule without any bias. Tensor names are those of Hugging Face transformers without their prefix `transformer.`.
 */
import type { Tensor } from "../../engine/graph/node.ts";
import { matmul } from "../../engine/graph/ops/contraction.ts";
import { add, maximum, minimum, mul } from "../../engine/graph/ops/elementwise.ts";
import { gather } from "../../engine/graph/ops/indexing.ts";
import { full } from "../../engine/graph/ops/leaf.ts";
import { slice } from "../../engine/graph/ops/movement.ts";
import type { Shape } from "../../base/shape.ts";
import { gelu, layerNorm } from "../../nn/functional.ts";
import type { Decoder, DecoderConfig, DecoderLayout } from "./decoder.ts";
import { projections, WeightLayout } from "./weightLayout.ts";

/** The tensors of a model, by name. */
function tensorsOf(c: DecoderConfig): Map<string, Shape> {
  const tensors = new Map<string, Shape>([["wte.weight", [c.vocabSize, c.hiddenSize]]]);
  const layer = (name: string, ...weight: [number] | [number, number]) => {
    tensors.set(`${name}.weight`, weight);
    if (c.biases.mlp) tensors.set(`${name}.bias`, [weight[0]]);
  };
  for (let i = 0; i < c.layers; i++) {
    layer(`blocks.${i}.norm_1`, c.hiddenSize);
    layer(`blocks.${i}.attn.Wqkv`, 3 * c.hiddenSize, c.hiddenSize);
    layer(`blocks.${i}.attn.out_proj`, c.hiddenSize, c.hiddenSize);
    layer(`blocks.${i}.norm_2`, c.hiddenSize);
    layer(`blocks.${i}.ffn.up_proj`, c.intermediateSize, c.hiddenSize);
    layer(`blocks.${i}.ffn.down_proj`, c.hiddenSize, c.intermediateSize);
  }
  layer("norm_f", c.hiddenSize);
  if (!c.tieWordEmbeddings) tensors.set("lm_head.weight", [c.vocabSize, c.hiddenSize]);
  return tensors;
}

/** A model of this family. */
export function mpt(config: DecoderConfig, layout?: DecoderLayout): Decoder {
  const tensors = tensorsOf(config);
  const weights = new WeightLayout({ tensors }, layout);
  const { hiddenSize, clip, logitScale } = config;
  const { dtype } = weights;
  const weight = (name: string) => weights.tensor(name);
  const linear = (name: string, x: Tensor) => weights.linear(name, x);
  const norm = (name: string, x: Tensor) => {
    const bias = weights.has(`${name}.bias`) ? weight(`${name}.bias`) : full([hiddenSize], 0, dtype);
    return layerNorm(x, weight(`${name}.weight`), bias, config.normEpsilon);
  };
  return {
    config,
    dtype,
    tensors,
    states: weights.states,
    layerPrefix: "blocks.",
    embed: (tokens) => gather(weight("wte.weight"), tokens),
    ...projections((layer, hidden) => {
      const product = linear(`blocks.${layer}.attn.Wqkv`, norm(`blocks.${layer}.norm_1`, hidden));
      const all = clip === null ? product : maximum(minimum(product, clip), -clip);
      const part = (i: number) => slice(all, { 1: [i * hiddenSize, (i + 1) * hiddenSize] });
      return { q: part(0), k: part(1), v: part(2), whole: all };
    }),
    finish: (layer, hidden, attended) => {
      const h = add(hidden, linear(`blocks.${layer}.attn.out_proj`, attended));
      const inner = gelu(linear(`blocks.${layer}.ffn.up_proj`, norm(`blocks.${layer}.norm_2`, h)));
      return add(h, linear(`blocks.${layer}.ffn.down_proj`, inner));
    },
    head: (hidden) => {
      const matrix = weight(config.tieWordEmbeddings ? "wte.weight" : "lm_head.weight");
      const logits = matmul(norm("norm_f", hidden), matrix, { transposeB: true, outDtype: "float32" });
      return logitScale === 1 ? logits : mul(logits, logitScale);
    },
  };
}
