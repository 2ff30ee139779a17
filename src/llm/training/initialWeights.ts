/**
 * @file Initial weights of a language model. Matrices are normal with a deviation of 1/√inputs, those of an MLP that
 * write into the residual stream by 1/√(2·layers) less (Radford et al. 2019, section 2.3); norms are 1, biases 0.
 *
 * Attention begins as trained attention looks (after Trockman and Kolter, "Mimetic initialization of self-attention
 * layers", 2023): keys of a head are made much as its queries are, so that tokens look at those that are like them, and
 * what a head writes is much like what it read. Recall is then learned in hundreds of steps and not in thousands.
 *
 * Embeddings have a deviation of 0.02, to which one and the same vector is added: it cancels in the logits, but queries
 * and keys then have a part that depends on no token, from which heads that look at near positions form. Learned
 * positions begin as sinusoids (Vaswani et al. 2017, section 3.5) of the same deviation: a head that looks one token back
 * needs one rotation for all of them.
 */
import { Rng } from "../../engine/rng.ts";
import { sizeOf, type Shape } from "../../engine/shape.ts";
import type { Decoder, DecoderConfig } from "../models/decoder.ts";

const EMBEDDING_DEVIATION = 0.02;
const EMBEDDING = /(^|\.)(wte|embed_tokens|lm_head)\.weight$/;
const POSITIONS = /(^|\.)wpe\.weight$/;
/** Linear layers of an MLP whose result is added to the hidden states. */
const OUTPUT = /\.(mlp\.c_proj|down_proj|fc_out)\.weight$/;
/** Correlation of a head's keys with its queries. */
const ALIKE = 0.7;
/** Share of what a head reads that it writes. */
const COPIED = 0.5;
/** Streams of random numbers: of each tensor, by its place, and of each layer's attention. */
const ATTENTION_STREAM = 0x10000;

/** `[rows, columns]` */
interface Matrix {
  rows: number;
  columns: number;
  values: Float32Array;
}

/** Initial values of every tensor, the same for the same seed. */
export function initialWeights(decoder: Decoder, seed: number): Map<string, Float32Array> {
  const { config, tensors } = decoder;
  const weights = new Map<string, Float32Array>();
  [...tensors].forEach(([name, shape], i) =>
    weights.set(name, valuesOf(name, shape, config, new Rng(seed, i))),
  );
  for (let layer = 0; layer < config.layers; layer++)
    placeAttention(weights, config, layer, attentionOf(config, new Rng(seed, ATTENTION_STREAM + layer)));
  return weights;
}

function valuesOf(name: string, shape: Shape, config: DecoderConfig, rng: Rng): Float32Array {
  const values = new Float32Array(sizeOf(shape));
  const width = shape.at(-1)!;
  if (shape.length === 1) return values.fill(name.endsWith(".bias") ? 0 : 1);
  if (POSITIONS.test(name)) return sinusoids(values, width);
  if (EMBEDDING.test(name)) {
    const common = Array.from({ length: width }, () => rng.normal());
    return values.map((_, i) => EMBEDDING_DEVIATION * (common[i % width]! + rng.normal()));
  }
  // GPT-2 alone stores `[inputs, outputs]`.
  const inputs = config.family === "gpt2" ? shape[0]! : shape[1]!;
  const deviation = 1 / Math.sqrt(OUTPUT.test(name) ? 2 * config.layers * inputs : inputs);
  return values.map(() => deviation * rng.normal());
}

function sinusoids(values: Float32Array, width: number): Float32Array {
  return values.map((_, i) => {
    const [position, column] = [Math.floor(i / width), i % width];
    const angle = position * 10_000 ** (-(column - (column % 2)) / width);
    return EMBEDDING_DEVIATION * Math.SQRT2 * (column % 2 === 0 ? Math.sin(angle) : Math.cos(angle));
  });
}

/** Matrices of an attention, `[outputs, inputs]`. */
interface AttentionWeights {
  q: Matrix;
  k: Matrix;
  v: Matrix;
  out: Matrix;
}

function attentionOf({ width, heads, kvHeads, headDim }: DecoderConfig, rng: Rng): AttentionWeights {
  const deviation = 1 / Math.sqrt(width);
  const made = (rows: number, columns: number, element: (row: number, column: number) => number): Matrix => {
    const values = new Float32Array(rows * columns);
    for (let i = 0; i < values.length; i++) values[i] = element(Math.floor(i / columns), i % columns);
    return { rows, columns, values };
  };
  const noise = () => deviation * rng.normal();
  const group = heads / kvHeads;
  /** The row of the group's head that a row of the first of its heads belongs to. */
  const shared = (row: number, from: number, to: number) =>
    Math.floor(row / headDim / from) * to * headDim + (row % headDim);
  const q = made(heads * headDim, width, noise);
  const rest = Math.sqrt(1 - ALIKE ** 2);
  const k = made(kvHeads * headDim, width, (row, column) => {
    const like = shared(row, 1, group);
    return ALIKE * q.values[like * width + column]! + rest * noise();
  });
  const v = made(kvHeads * headDim, width, noise);
  const out = made(width, heads * headDim, (row, column) => {
    const read = shared(column, group, 1);
    return COPIED * v.values[read * width + row]!;
  });
  return { q, k, v, out };
}

function placeAttention(
  weights: Map<string, Float32Array>,
  { family, width }: DecoderConfig,
  layer: number,
  { q, k, v, out }: AttentionWeights,
): void {
  const put = (name: string, values: Float32Array) => weights.get(name)!.set(values);
  switch (family) {
    case "llama":
    case "gptj": {
      const at = family === "llama" ? `model.layers.${layer}.self_attn` : `h.${layer}.attn`;
      put(`${at}.q_proj.weight`, q.values);
      put(`${at}.k_proj.weight`, k.values);
      put(`${at}.v_proj.weight`, v.values);
      put(`${at}.${family === "llama" ? "o_proj" : "out_proj"}.weight`, out.values);
      return;
    }
    case "mpt": {
      const all = new Float32Array(3 * width * width);
      [q, k, v].forEach(({ values }, part) => all.set(values, part * width * width));
      put(`blocks.${layer}.attn.Wqkv.weight`, all);
      put(`blocks.${layer}.attn.out_proj.weight`, out.values);
      return;
    }
    case "gpt2": {
      const all = new Float32Array(3 * width * width);
      [q, k, v].forEach(({ values }, part) => {
        for (let row = 0; row < width; row++)
          for (let column = 0; column < width; column++)
            all[column * 3 * width + part * width + row] = values[row * width + column]!;
      });
      put(`h.${layer}.attn.c_attn.weight`, all);
      put(
        `h.${layer}.attn.c_proj.weight`,
        out.values.map((_, i) => out.values[(i % width) * width + Math.floor(i / width)]!),
      );
      return;
    }
  }
}
