/**
 * @file The planted truth of a synthetic click log: the probability of a click, given what a row holds.
 *
 * logit = dense·w + Σ first-order row effects + Σ_{i<j} ⟨v_i, v_j⟩ with 4-dim latent rows v (a factorization
 * machine), each part standardised, mixed by fixed shares of the variance and scaled to a deviation of 1.5.
 * Effects are hashes of (seed, table, row), so a table of ten million rows costs no memory. Missing values have
 * no effect. The share of each part is Pareto's choice.
 */
import { FastRng, mix32, normalFromWord } from "./random.ts";

const LATENT = 4;
/** Deviation of the logit: with the default click rate it puts the Bayes AUC near 0.82. */
const LOGIT_DEVIATION = 1.5;
/** Shares of the logit's variance. Row effects carry most of it, so embeddings matter; crosses are modest. */
const SHARES = { dense: 0.2, rows: 0.6, pairs: 0.2 };
/** The most that a count column holds. */
const MAX_COUNT = 65_535;
/** Values that the sum of four bytes can take. */
const STEPS = 1021;

/** What the three parts of the logit are scaled by, found on a sample by {@link calibrate}. */
interface Mix {
  dense: number;
  rows: number;
  pairs: number;
  shift: number;
}

/** The unscaled parts of the logits of a sample of rows. */
export interface LogitParts {
  dense: Float64Array;
  rows: Float64Array;
  pairs: Float64Array;
}

/** Mean and deviation of values. */
function moments(values: Float64Array): { mean: number; deviation: number } {
  let mean = 0;
  for (const value of values) mean += value / values.length;
  let variance = 0;
  for (const value of values) variance += (value - mean) ** 2 / values.length;
  return { mean, deviation: Math.sqrt(variance) };
}

/** The click probability as a function of a row's counts and categorical rows. */
export class PlantedTruth {
  /** `[nDense][1021]` count by byte sum of a uniform word: a discretised lognormal. */
  readonly counts: Int32Array[] = [];
  readonly #denseEffects: Float64Array[] = [];
  readonly #salts: Int32Array;
  readonly #sum = new Float64Array(LATENT);
  #mix: Mix = { dense: 1, rows: 1, pairs: 1, shift: 0 };

  /** @param seed any safe integer @param nDense count columns @param tables categorical columns */
  constructor(seed: number, nDense: number, tables: number) {
    const rng = new FastRng(seed, 0xffffffff);
    for (let column = 0; column < nDense; column++) {
      const location = 0.5 + 3 * rng.uniform();
      const spread = 0.7 + 0.8 * rng.uniform();
      const weight = normalFromWord(rng.uint32()) / spread;
      const counts = new Int32Array(STEPS);
      const effects = new Float64Array(STEPS);
      for (let step = 0; step < STEPS; step++) {
        const z = (step - 510) / (510 / 3.46);
        counts[step] = Math.min(Math.floor(Math.exp(location + spread * z)), MAX_COUNT);
        effects[step] = weight * Math.log1p(counts[step]!);
      }
      this.counts.push(counts);
      this.#denseEffects.push(effects);
    }
    this.#salts = Int32Array.from({ length: tables }, () => rng.uint32());
  }

  /** Contribution of the count at a step of the column's table; a missing count counts as 0, as models see it. */
  denseEffect(column: number, step: number): number {
    return this.#denseEffects[column]![step]!;
  }

  /**
   * The two unscaled parts of the logit that come from the categorical rows.
   * @param rows `[T]` row of each table, −1 where missing
   * @param out receives `[first-order, pairwise]`
   */
  rowEffects(rows: Int32Array, out: Float64Array): void {
    const sum = this.#sum.fill(0);
    let first = 0;
    let squares = 0;
    for (let table = 0; table < rows.length; table++) {
      const row = rows[table]!;
      if (row < 0) continue;
      let state = mix32(row ^ this.#salts[table]!) ^ this.#salts[table]!;
      first += normalFromWord(mix32(state));
      for (let axis = 0; axis < LATENT; axis++) {
        state = (state + 0x9e3779b9) | 0;
        const value = normalFromWord(mix32(state));
        sum[axis]! += value;
        squares += value * value;
      }
    }
    let pairs = -squares;
    for (let axis = 0; axis < LATENT; axis++) pairs += sum[axis]! * sum[axis]!;
    out[0] = first;
    out[1] = pairs / 2;
  }

  /** Fixes the scale of the parts and the shift, so that the sample's logits have the deviation and click rate. */
  calibrate(parts: LogitParts, clickRate: number): void {
    const scale = { dense: 0, rows: 0, pairs: 0 };
    for (const name of ["dense", "rows", "pairs"] as const) {
      const { deviation } = moments(parts[name]);
      scale[name] = deviation > 0 ? Math.sqrt(SHARES[name]) / deviation : 0;
    }
    const logits = parts.dense.map(
      (dense, i) => scale.dense * dense + scale.rows * parts.rows[i]! + scale.pairs * parts.pairs[i]!,
    );
    const { mean, deviation } = moments(logits);
    const factor = LOGIT_DEVIATION / (deviation || 1);
    // The mean probability rises with the shift, so halving the interval finds the wanted rate.
    let low = -20;
    let high = 20;
    for (let round = 0; round < 60; round++) {
      const middle = (low + high) / 2;
      let rate = 0;
      for (const logit of logits) rate += 1 / (1 + Math.exp(-((logit - mean) * factor + middle)));
      if (rate / logits.length < clickRate) low = middle;
      else high = middle;
    }
    this.#mix = {
      dense: scale.dense * factor,
      rows: scale.rows * factor,
      pairs: scale.pairs * factor,
      shift: low - mean * factor,
    };
  }

  /** The logit of a row from its unscaled parts. */
  logit(dense: number, rows: number, pairs: number): number {
    return this.#mix.dense * dense + this.#mix.rows * rows + this.#mix.pairs * pairs + this.#mix.shift;
  }
}
