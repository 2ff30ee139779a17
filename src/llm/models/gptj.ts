/**
 * @file GPT-J: one LayerNorm a layer, whose attention and MLP both read it and are added together; part of each head
 * is rotated. Tensor names are those of Hugging Face transformers without their prefix `transformer.`.
 */
import type { Tensor } from "../../engine/graph/node.ts";
import { matmul } from "../../engine/graph/ops/contraction.ts";
import { add, cast } from "../../engine/graph/ops/elementwise.ts";
import { gather } from "../../engine/graph/ops/indexing.ts";
import type { Shape } from "../../base/shape.ts";
import { layerNorm } from "../../nn/functional.ts";
import { activate } from "./activation.ts";
import type { Decoder, DecoderConfig, DecoderLayout } from "./decoder.ts";
import { projections, WeightLayout, type FamilyTensors } from "./weightLayout.ts";

/** The layers that give queries, keys and values. */
function queryKeyValue(layer: number): string[] {
  return ["q", "k", "v"].map((part) => `h.${layer}.attn.${part}_proj`);
}

/** The tensors of a model, by name. */
function tensorsOf(c: DecoderConfig): FamilyTensors {
  const stacks: string[][] = [];
  const tensors = new Map<string, Shape>([["wte.weight", [c.vocabSize, c.hiddenSize]]]);
  const withBias = (name: string, ...weight: [number] | [number, number]) => {
    tensors.set(`${name}.weight`, weight);
    tensors.set(`${name}.bias`, [weight[0]]);
  };
  for (let layer = 0; layer < c.layers; layer++) {
    withBias(`h.${layer}.ln_1`, c.hiddenSize);
    stacks.push(queryKeyValue(layer));
    for (const name of [...queryKeyValue(layer), `h.${layer}.attn.out_proj`])
      tensors.set(`${name}.weight`, [c.hiddenSize, c.hiddenSize]);
    withBias(`h.${layer}.mlp.fc_in`, c.intermediateSize, c.hiddenSize);
    withBias(`h.${layer}.mlp.fc_out`, c.hiddenSize, c.intermediateSize);
  }
  withBias("ln_f", c.hiddenSize);
  if (!c.tieWordEmbeddings) tensors.set("lm_head.weight", [c.vocabSize, c.hiddenSize]);
  tensors.set("lm_head.bias", [c.vocabSize]);
  return { tensors, stacks };
}

/** A model of this family. */
export function gptj(config: DecoderConfig, layout?: DecoderLayout): Decoder {
  const family = tensorsOf(config);
  const weights = new WeightLayout(family, layout);
  const linear = (name: string, x: Tensor) => weights.linear(name, x);
  const norm = (name: string, x: Tensor) =>
    layerNorm(x, weights.tensor(`${name}.weight`), weights.tensor(`${name}.bias`), config.normEpsilon);
  return {
    config,
    dtype: weights.dtype,
    tensors: family.tensors,
    states: weights.states,
    layerPrefix: "h.",
    embed: (tokens) => gather(weights.tensor("wte.weight"), tokens),
    ...projections((layer, hidden) => {
      const { parts, whole } = weights.stacked(queryKeyValue(layer), norm(`h.${layer}.ln_1`, hidden));
      const [q, k, v] = parts;
      return { q: q!, k: k!, v: v!, whole };
    }),
    finish: (layer, hidden, attended) => {
      const inner = linear(`h.${layer}.mlp.fc_in`, norm(`h.${layer}.ln_1`, hidden));
      const h = add(linear(`h.${layer}.attn.out_proj`, attended), hidden);
      return add(linear(`h.${layer}.mlp.fc_out`, activate(config.activation, inner)), h);
    },
    head: (hidden) => {
      const last = norm("ln_f", hidden);
      if (!config.tieWordEmbeddings) return weights.linear("lm_head", last, "float32");
      const product = matmul(last, weights.tensor("wte.weight"), { transposeB: true, outDtype: "float32" });
      return add(product, cast(weights.tensor("lm_head.bias"), "float32"));
    },
  };
}
