/**
 * @file Draws the rows of a synthetic click log, block by block, with the true click probability of each.
 *
 * A block is a pure function of (seed, block number), so blocks may be drawn in any order. Within a column the
 * popularity of values is Zipf; the 32-bit value shown for a rank is a bijective hash of it, so neither the
 * order of the values nor their text says anything about popularity.
 */
import type { SynthPreset } from "./presets.ts";
import { byteSum, FastRng, mix32, ZipfSampler } from "./random.ts";
import { PlantedTruth } from "./truth.ts";

/** Rows in a block; two of DuckDB's vectors. */
export const BLOCK_ROWS = 4096;
/** Rows that the scale of the truth is fitted on, drawn from streams that no block uses. */
const CALIBRATION_ROWS = 65_536;
/** The stand-in for a missing count. */
export const MISSING_COUNT = -1;
/** The stand-in for a missing categorical value; no rank has it as its hash. */
export const MISSING_VALUE = 0;

/** What is drawn and how. */
export interface GeneratorOptions {
  preset: SynthPreset;
  rows: number;
  seed: number;
  /** Exponent of the popularity law. */
  skew: number;
  /** Wanted mean click probability. */
  clickRate: number;
  /** How many times popularity moves to other values during the log. */
  drift: number;
}

/** Rows as columns; the arrays are reused from block to block. */
export interface ClickBlock {
  size: number;
  labels: Uint8Array;
  /** Milliseconds since the start of the log, rising. */
  milliseconds: Int32Array;
  /** `[nDense][rows]` counts, {@link MISSING_COUNT} where missing. */
  dense: Int32Array[];
  /** `[T][rows]` 32-bit values, {@link MISSING_VALUE} where missing. */
  values: Uint32Array[];
  /** True logits of a click. */
  logits: Float64Array;
}

/** The word below which a uniform 32-bit word means "missing". */
const missingBelow = (share: number): number => Math.floor(share * 2 ** 32);

/** Draws blocks of rows. */
export class ClickGenerator {
  readonly #options: GeneratorOptions;
  readonly #truth: PlantedTruth;
  readonly #samplers: ZipfSampler[];
  readonly #valueSalts: number[];
  readonly #denseMissing: number[];
  readonly #valueMissing: number[];
  readonly #row: Int32Array;
  readonly #effects = new Float64Array(2);
  readonly #block: ClickBlock;

  constructor(options: GeneratorOptions) {
    const { preset, seed, skew, clickRate } = options;
    const tables = preset.categorical.length;
    this.#options = options;
    this.#truth = new PlantedTruth(seed, preset.dense.length, tables);
    this.#samplers = preset.cardinalities.map((rows) => new ZipfSampler(rows, skew));
    this.#row = new Int32Array(tables);
    const rng = new FastRng(seed, 0xfffffffe);
    // Below 2^31, so that rank + 1 + salt is never 0 modulo 2^32 and no hash is the stand-in for missing.
    this.#valueSalts = preset.cardinalities.map(() => rng.uint32() >>> 1);
    this.#denseMissing = preset.dense.map(() => missingBelow(Math.max(0, 0.4 * rng.uniform() - 0.15)));
    this.#valueMissing = preset.cardinalities.map((rows) =>
      rows < 100 ? 0 : missingBelow(Math.max(0, 0.15 * rng.uniform() - 0.1)),
    );
    const column = <T>(make: (size: number) => T, count: number): T[] =>
      Array.from({ length: count }, () => make(BLOCK_ROWS));
    this.#block = {
      size: 0,
      labels: new Uint8Array(BLOCK_ROWS),
      milliseconds: new Int32Array(BLOCK_ROWS),
      dense: column((size) => new Int32Array(size), preset.dense.length),
      values: column((size) => new Uint32Array(size), tables),
      logits: new Float64Array(BLOCK_ROWS),
    };
    this.#calibrate(clickRate);
  }

  /** How many blocks the log has. */
  get blocks(): number {
    return Math.ceil(this.#options.rows / BLOCK_ROWS);
  }

  #calibrate(clickRate: number): void {
    const blocks = CALIBRATION_ROWS / BLOCK_ROWS;
    const parts = {
      dense: new Float64Array(CALIBRATION_ROWS),
      rows: new Float64Array(CALIBRATION_ROWS),
      pairs: new Float64Array(CALIBRATION_ROWS),
    };
    for (let block = 0; block < blocks; block++) {
      const rng = new FastRng(this.#options.seed, 0x80000000 + block);
      for (let i = 0; i < BLOCK_ROWS; i++) {
        const at = block * BLOCK_ROWS + i;
        parts.dense[at] = this.#drawRow(rng, i, at / CALIBRATION_ROWS);
        parts.rows[at] = this.#effects[0]!;
        parts.pairs[at] = this.#effects[1]!;
      }
    }
    this.#truth.calibrate(parts, clickRate);
  }

  /** Draws row `i` of the block at `position` in [0, 1) of the log; returns the dense part of its logit. */
  #drawRow(rng: FastRng, i: number, position: number): number {
    const { drift, preset } = this.#options;
    const { dense: columns, values } = this.#block;
    let dense = 0;
    for (let c = 0; c < columns.length; c++) {
      const missing = rng.uint32() < this.#denseMissing[c]!;
      const step = byteSum(rng.uint32());
      columns[c]![i] = missing ? MISSING_COUNT : this.#truth.counts[c]![step]!;
      if (!missing) dense += this.#truth.denseEffect(c, step);
    }
    const era = Math.floor(position * (drift + 1));
    for (let t = 0; t < values.length; t++) {
      let rank = this.#samplers[t]!.sample(rng);
      if (rng.uint32() < this.#valueMissing[t]!) {
        this.#row[t] = -1;
        values[t]![i] = MISSING_VALUE;
        continue;
      }
      if (era > 0) {
        const rows = preset.cardinalities[t]!;
        rank = (rank + Math.floor((era * rows) / (drift + 1))) % rows;
      }
      this.#row[t] = rank;
      values[t]![i] = mix32(rank + 1 + this.#valueSalts[t]!);
    }
    this.#truth.rowEffects(this.#row, this.#effects);
    return dense;
  }

  /** Draws block `index`; the result is valid until the next call. */
  draw(index: number): ClickBlock {
    const { rows, seed, preset } = this.#options;
    const start = index * BLOCK_ROWS;
    const block = this.#block;
    block.size = Math.min(BLOCK_ROWS, rows - start);
    const rng = new FastRng(seed, index);
    const span = preset.days * 86_400_000;
    for (let i = 0; i < block.size; i++) {
      const position = (start + i) / rows;
      const dense = this.#drawRow(rng, i, position);
      const logit = this.#truth.logit(dense, this.#effects[0]!, this.#effects[1]!);
      block.logits[i] = logit;
      block.labels[i] = rng.uniform() < 1 / (1 + Math.exp(-logit)) ? 1 : 0;
      block.milliseconds[i] = Math.floor(position * span);
    }
    return block;
  }
}
