/**
 * @file Rotary positions (Su et al., "RoFormer", 2021): pairs of a head's elements turned by an angle that grows with
 * the position, and the published ways to stretch them over longer texts.
 *
 * Angles are computed in float64 and their cosines rounded to float32 once. Cached keys stay rotated by the position
 * they had in the whole text; a kind whose frequencies depend on the text's length does not turn them again, as in
 * Hugging Face transformers.
 */

/** How the frequencies are scaled, by the names that `config.json` has for it. */
export type RotaryScaling =
  | { kind: "default" }
  | { kind: "linear"; factor: number }
  | { kind: "dynamic"; factor: number; original: number }
  | { kind: "llama3"; factor: number; lowFrequency: number; highFrequency: number; original: number }
  | {
      kind: "yarn";
      factor: number;
      betaFast: number;
      betaSlow: number;
      original: number;
      attentionFactor: number;
      /** Ends of the ramp are rounded to whole dimensions. */
      truncate: boolean;
    }
  | {
      kind: "longrope";
      shortFactor: readonly number[];
      longFactor: readonly number[];
      original: number;
      attentionFactor: number;
    };

/** The rotation of a model. */
export interface RotaryConfig {
  /** Elements of a head that are turned, from the first on; the rest passes. */
  readonly dim: number;
  readonly theta: number;
  /** Elements 2i and 2i + 1 are a pair; else i and i + dim / 2. */
  readonly isInterleaved: boolean;
  readonly scaling: RotaryScaling;
}

/** λ between two wavelengths keeps part of its frequency (Llama 3.1). */
function llama3(frequency: number, s: Extract<RotaryScaling, { kind: "llama3" }>): number {
  const wavelength = (2 * Math.PI) / frequency;
  if (wavelength < s.original / s.highFrequency) return frequency;
  if (wavelength > s.original / s.lowFrequency) return frequency / s.factor;
  const smooth = (s.original / wavelength - s.lowFrequency) / (s.highFrequency - s.lowFrequency);
  return ((1 - smooth) * frequency) / s.factor + smooth * frequency;
}

/** The share of each pair's own frequency that YaRN keeps (Peng et al. 2023, section 3.2). */
function yarnShares(dim: number, theta: number, s: Extract<RotaryScaling, { kind: "yarn" }>): number[] {
  const dimensionOf = (turns: number) =>
    (dim * Math.log(s.original / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
  const [fast, slow] = [dimensionOf(s.betaFast), dimensionOf(s.betaSlow)];
  const low = Math.max(s.truncate ? Math.floor(fast) : fast, 0);
  const end = Math.min(s.truncate ? Math.ceil(slow) : slow, dim - 1);
  const high = end === low ? end + 0.001 : end;
  return Array.from({ length: dim / 2 }, (_, i) => 1 - Math.min(Math.max((i - low) / (high - low), 0), 1));
}

/**
 * Radians a position turns each pair by.
 * @param length tokens seen so far, with those about to be turned; some kinds depend on it
 * @returns `[dim / 2]`
 */
function rotaryFrequencies({ dim, theta, scaling }: RotaryConfig, length: number): number[] {
  const plain = (base: number) => Array.from({ length: dim / 2 }, (_, i) => base ** ((-2 * i) / dim));
  switch (scaling.kind) {
    case "default":
      return plain(theta);
    case "linear":
      return plain(theta).map((f) => f / scaling.factor);
    case "dynamic": {
      const { factor, original } = scaling;
      const stretched = (factor * Math.max(length, original)) / original - (factor - 1);
      return plain(theta * stretched ** (dim / (dim - 2)));
    }
    case "llama3":
      return plain(theta).map((f) => llama3(f, scaling));
    case "yarn": {
      const shares = yarnShares(dim, theta, scaling);
      return plain(theta).map((f, i) => (f / scaling.factor) * (1 - shares[i]!) + f * shares[i]!);
    }
    case "longrope": {
      const factors = length > scaling.original ? scaling.longFactor : scaling.shortFactor;
      return plain(theta).map((f, i) => f / factors[i]!);
    }
  }
}

/** Tokens of a text up to which the frequencies of a rotation do not change with its length. */
export function steadyLength({ scaling }: RotaryConfig): number {
  return scaling.kind === "dynamic" || scaling.kind === "longrope"
    ? scaling.original
    : Number.POSITIVE_INFINITY;
}

/** Whether the frequencies of a rotation change with the length of the text. */
export function dependsOnLength(rotary: RotaryConfig): boolean {
  return steadyLength(rotary) < Number.POSITIVE_INFINITY;
}

/** What a turn multiplies a head by, which some kinds do for attention over longer texts. */
export function attentionFactor({ scaling }: RotaryConfig): number {
  return "attentionFactor" in scaling ? scaling.attentionFactor : 1;
}

/**
 * Cosines and sines of positions one after the other.
 * @param out receives `[rows, 2, dim / 2]`, a row's cosines before its sines
 * @param first position of the first row
 * @param length tokens seen so far, with these rows
 */
export function rotaryAngles(
  rotary: RotaryConfig,
  { rows, first, length }: { rows: number; first: number; length: number },
  out: Float32Array,
): void {
  const half = rotary.dim / 2;
  const frequencies = rotaryFrequencies(rotary, length);
  const factor = attentionFactor(rotary);
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < half; i++) {
      const angle = (first + row) * frequencies[i]!;
      out[2 * row * half + i] = Math.cos(angle) * factor;
      out[(2 * row + 1) * half + i] = Math.sin(angle) * factor;
    }
  }
}

/**
 * Turns heads in place.
 * @param x `[rows, heads · headDim]`
 * @param first position of the first row; the others follow it
 * @param length tokens seen so far, with these rows
 */
export function rotate(
  x: Float32Array,
  rotary: RotaryConfig,
  { rows, headDim, first, length }: { rows: number; headDim: number; first: number; length: number },
): void {
  const { dim, isInterleaved } = rotary;
  const half = dim / 2;
  const angles = new Float32Array(rows * dim);
  rotaryAngles(rotary, { rows, first, length }, angles);
  const width = x.length / rows;
  for (let row = 0; row < rows; row++) {
    const cosines = angles.subarray(row * dim, row * dim + half);
    const sines = angles.subarray(row * dim + half, (row + 1) * dim);
    for (let start = row * width; start < (row + 1) * width; start += headDim) {
      for (let i = 0; i < half; i++) {
        const a = start + (isInterleaved ? 2 * i : i);
        const b = isInterleaved ? a + 1 : a + half;
        const [left, right] = [x[a]!, x[b]!];
        x[a] = left * cosines[i]! - right * sines[i]!;
        x[b] = left * sines[i]! + right * cosines[i]!;
      }
    }
  }
}
