/**
 * @file GPT-J: one LayerNorm a layer, whose attention and MLP both read it and are added together; part of each head
 * is rotated. Tensor names are those of Hugging Face transformers without their prefix `transformer.`.
 */
import type { Tensor } from "../../engine/graph/node.ts";
import { matmul } from "../../engine/graph/ops/contraction.ts";
import { add } from "../../engine/graph/ops/elementwise.ts";
import { gather } from "../../engine/graph/ops/indexing.ts";
import { state } from "../../engine/graph/ops/leaf.ts";
import type { Shape } from "../../engine/shape.ts";
import { gelu, layerNorm } from "../../nn/functional.ts";
import type { Decoder, DecoderConfig } from "./decoder.ts";

/** The tensors of a model, by name. */
function tensorsOf(c: DecoderConfig): Map<string, Shape> {
  const tensors = new Map<string, Shape>([["wte.weight", [c.vocabulary, c.width]]]);
  const withBias = (name: string, ...weight: [number] | [number, number]) => {
    tensors.set(`${name}.weight`, weight);
    tensors.set(`${name}.bias`, [weight[0]]);
  };
  for (let layer = 0; layer < c.layers; layer++) {
    withBias(`h.${layer}.ln_1`, c.width);
    for (const part of ["q", "k", "v", "out"])
      tensors.set(`h.${layer}.attn.${part}_proj.weight`, [c.width, c.width]);
    withBias(`h.${layer}.mlp.fc_in`, c.innerWidth, c.width);
    withBias(`h.${layer}.mlp.fc_out`, c.width, c.innerWidth);
  }
  withBias("ln_f", c.width);
  withBias("lm_head", c.vocabulary, c.width);
  return tensors;
}

/** A model of this family. */
export function gptj(config: DecoderConfig): Decoder {
  const tensors = tensorsOf(config);
  const weight = (name: string) => state(name, tensors.get(name)!);
  const linear = (name: string, x: Tensor) => {
    const y = matmul(x, weight(`${name}.weight`), { transposeB: true });
    return tensors.has(`${name}.bias`) ? add(y, weight(`${name}.bias`)) : y;
  };
  const norm = (name: string, x: Tensor) =>
    layerNorm(x, weight(`${name}.weight`), weight(`${name}.bias`), config.normEpsilon);
  const approximate = config.activation === "geluTanh" ? "tanh" : "none";
  return {
    config,
    tensors,
    embed: (tokens) => gather(weight("wte.weight"), tokens),
    project: (layer, hidden) => {
      const x = norm(`h.${layer}.ln_1`, hidden);
      return {
        q: linear(`h.${layer}.attn.q_proj`, x),
        k: linear(`h.${layer}.attn.k_proj`, x),
        v: linear(`h.${layer}.attn.v_proj`, x),
      };
    },
    finish: (layer, hidden, attended) => {
      const inner = linear(`h.${layer}.mlp.fc_in`, norm(`h.${layer}.ln_1`, hidden));
      const mlp = linear(`h.${layer}.mlp.fc_out`, gelu(inner, { approximate }));
      return add(add(linear(`h.${layer}.attn.out_proj`, attended), mlp), hidden);
    },
    head: (hidden) => linear("lm_head", norm("ln_f", hidden)),
  };
}
