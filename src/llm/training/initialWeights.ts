/**
 * @file Initial weights of a language model, by the names of its tensors: matrices normal with a deviation of 0.02, those
 * that write into the residual stream by 1/√(2·layers) less (Radford et al. 2019, section 2.3); norms 1, biases 0.
 *
 * Learned positions begin as sinusoids (Vaswani et al. 2017, section 3.5) of the same deviation: a head that looks one
 * token back then needs one rotation, which holds for all positions, and not a thousand separate ones.
 */
import { constantFill, normal, type Initializer } from "../../nn/initializers.ts";
import type { DecoderConfig } from "../models/decoder.ts";

const DEVIATION = 0.02;
/** Linear layers whose result is added to the hidden states. */
const OUTPUT = /\.(c_proj|out_proj|o_proj|down_proj|fc_out)\.weight$/;
const POSITIONS = /(^|\.)wpe\.weight$/;

/** Initial values of a tensor. */
export function initializerOf(name: string, rank: number, config: DecoderConfig): Initializer {
  if (rank === 1) return constantFill(name.endsWith(".bias") ? 0 : 1);
  if (POSITIONS.test(name)) return sinusoids;
  return normal(0, OUTPUT.test(name) ? DEVIATION / Math.sqrt(2 * config.layers) : DEVIATION);
}

const sinusoids: Initializer = (values, [, width = 1]) => {
  const amplitude = DEVIATION * Math.SQRT2;
  for (let i = 0; i < values.length; i++) {
    const [position, column] = [Math.floor(i / width), i % width];
    const angle = position * 10_000 ** (-(column - (column % 2)) / width);
    values[i] = amplitude * (column % 2 === 0 ? Math.sin(angle) : Math.cos(angle));
  }
};
