/**
 * @file GPT-2 and Cerebras-GPT: LayerNorm, learned positions, one product for queries, keys and values, an MLP, as
 * a rule with GELU. Tensor names are those of Hugging Face transformers without their prefix `transformer.`; matrices of the
 * layers are `[inputs, outputs]`, unlike those of other families.
 */
import type { Tensor } from "../../engine/graph/node.ts";
import { matmul } from "../../engine/graph/ops/contraction.ts";
import { add } from "../../engine/graph/ops/elementwise.ts";
import { gather } from "../../engine/graph/ops/indexing.ts";
import { slice } from "../../engine/graph/ops/movement.ts";
import type { Shape } from "../../base/shape.ts";
import { layerNorm } from "../../nn/functional.ts";
import { activate } from "./activation.ts";
import type { Decoder, DecoderConfig, DecoderLayout } from "./decoder.ts";
import { projections, WeightLayout, type FamilyTensors } from "./weightLayout.ts";

/** The tensors of a model, by name. */
function tensorsOf(c: DecoderConfig): FamilyTensors {
  const turned = new Set<string>();
  const tensors = new Map<string, Shape>([
    ["wte.weight", [c.vocabSize, c.hiddenSize]],
    ["wpe.weight", [c.maxPositions, c.hiddenSize]],
  ]);
  const withBias = (name: string, ...weight: number[]) => {
    tensors.set(`${name}.weight`, weight);
    tensors.set(`${name}.bias`, [weight.at(-1)!]);
  };
  for (let layer = 0; layer < c.layers; layer++) {
    withBias(`h.${layer}.ln_1`, c.hiddenSize);
    withBias(`h.${layer}.attn.c_attn`, c.hiddenSize, 3 * c.hiddenSize);
    withBias(`h.${layer}.attn.c_proj`, c.hiddenSize, c.hiddenSize);
    withBias(`h.${layer}.ln_2`, c.hiddenSize);
    withBias(`h.${layer}.mlp.c_fc`, c.hiddenSize, c.intermediateSize);
    withBias(`h.${layer}.mlp.c_proj`, c.intermediateSize, c.hiddenSize);
    for (const name of ["attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"])
      turned.add(`h.${layer}.${name}`);
  }
  withBias("ln_f", c.hiddenSize);
  if (!c.tieWordEmbeddings) tensors.set("lm_head.weight", [c.vocabSize, c.hiddenSize]);
  return { tensors, turned };
}

/** A model of this family. */
export function gpt2(config: DecoderConfig, layout?: DecoderLayout): Decoder {
  const family = tensorsOf(config);
  const weights = new WeightLayout(family, layout);
  const { hiddenSize, normEpsilon } = config;
  const weight = (name: string) => weights.tensor(name);
  const linear = (name: string, x: Tensor) => weights.linear(name, x);
  const norm = (name: string, x: Tensor) =>
    layerNorm(x, weight(`${name}.weight`), weight(`${name}.bias`), normEpsilon);
  return {
    config,
    dtype: weights.dtype,
    tensors: family.tensors,
    states: weights.states,
    layerPrefix: "h.",
    embed: (tokens, positions) =>
      add(gather(weight("wte.weight"), tokens), gather(weight("wpe.weight"), positions)),
    ...projections((layer, hidden) => {
      const all = linear(`h.${layer}.attn.c_attn`, norm(`h.${layer}.ln_1`, hidden));
      const part = (i: number) => slice(all, { 1: [i * hiddenSize, (i + 1) * hiddenSize] });
      return { q: part(0), k: part(1), v: part(2), whole: all };
    }),
    finish: (layer, hidden, attended) => {
      const h = add(hidden, linear(`h.${layer}.attn.c_proj`, attended));
      const inner = activate(config.activation, linear(`h.${layer}.mlp.c_fc`, norm(`h.${layer}.ln_2`, h)));
      return add(h, linear(`h.${layer}.mlp.c_proj`, inner));
    },
    head: (hidden) =>
      matmul(norm("ln_f", hidden), weight(config.tieWordEmbeddings ? "wte.weight" : "lm_head.weight"), {
        transposeB: true,
        outDtype: "float32",
      }),
  };
}
