/**
 * @file Initial weights of a language model, by the names of its tensors: matrices normal with a deviation of 1/√inputs,
 * so that attention is not flat at first and heads come to differ soon; those that write into the residual stream by
 * 1/√(2·layers) less (Radford et al. 2019, section 2.3); embeddings with a deviation of 0.02; norms 1, biases 0.
 *
 * To each token's embedding one and the same vector is added. It cancels in the logits, but queries and keys then have a
 * part that depends on no token, from which heads that look at near positions form.
 *
 * Learned positions begin as sinusoids (Vaswani et al. 2017, section 3.5) of the embeddings' deviation: a head that looks
 * one token back then needs one rotation, which holds for all positions, and not a thousand separate ones.
 */
import { constantFill, normal, type Initializer } from "../../nn/initializers.ts";
import type { Shape } from "../../base/shape.ts";
import type { DecoderConfig } from "../models/decoder.ts";

const EMBEDDING_DEVIATION = 0.02;
const EMBEDDING = /(^|\.)(wte|embed_tokens|lm_head)\.weight$/;
const POSITIONS = /(^|\.)wpe\.weight$/;
/** Linear layers whose result is added to the hidden states. */
const OUTPUT = /\.(c_proj|out_proj|o_proj|down_proj|fc_out)\.weight$/;

/** Initial values of a tensor. */
export function initializerOf(name: string, shape: Shape, config: DecoderConfig): Initializer {
  if (shape.length === 1) return constantFill(name.endsWith(".bias") ? 0 : 1);
  if (POSITIONS.test(name)) return sinusoids;
  if (EMBEDDING.test(name)) return embeddings;
  // GPT-2 alone stores `[inputs, outputs]`.
  const inputs = config.family === "gpt2" ? shape[0]! : shape[1]!;
  return normal(0, 1 / Math.sqrt(OUTPUT.test(name) ? 2 * config.layers * inputs : inputs));
}

const embeddings: Initializer = (values, [, width = 1], rng) => {
  const common = Array.from({ length: width }, () => rng.normal());
  for (let i = 0; i < values.length; i++)
    values[i] = EMBEDDING_DEVIATION * (common[i % width]! + rng.normal());
};

const sinusoids: Initializer = (values, [, width = 1]) => {
  const amplitude = EMBEDDING_DEVIATION * Math.SQRT2;
  for (let i = 0; i < values.length; i++) {
    const [position, column] = [Math.floor(i / width), i % width];
    const angle = position * 500 ** (-(column - (column % 2)) / width);
    values[i] = amplitude * (column % 2 === 0 ? Math.sin(angle) : Math.cos(angle));
  }
};
