/**
 * @file What a CTR model is fed: the layout of encoded rows, and a mini-batch of them.
 *
 * All arrays of a batch lie on SharedArrayBuffers so that kernel threads and the dense worker read them in place.
 * Ids are table-major because each table's lookups are one task of a kernel thread.
 */

/** A numeric input column: `ln(max(x, 0) + 1)` or standardised, as {@link DenseField.transform} says. */
export interface DenseField {
  name: string;
  /** `log1p`: ln(max(x, 0) + 1), missing → 0 (Criteo's rule). `standard`: (x − mean) / deviation, missing → 0. */
  transform: "log1p" | "standard";
  /** Mean and deviation over the training part; 0 and 1 under `log1p`. */
  mean: number;
  deviation: number;
}

/** A categorical input column and its table of embedding rows. */
export interface CategoricalField {
  name: string;
  /** `vocabulary`: id 0 is unknown or missing, others by falling count in the training part. `hash`: buckets. */
  encoding: "vocabulary" | "hash";
  /** Rows of its table, unknown included. */
  cardinality: number;
  /** Whether a row holds a list of values, pooled by sum. */
  multiHot: boolean;
}

/** The columns of an encoded data set, in the order that the arrays of a batch follow. */
export interface ClickSchema {
  label: string;
  dense: DenseField[];
  categorical: CategoricalField[];
}

/** The embedding lookups of a mini-batch. */
export interface Lookups {
  /** Inputs in the batch (B). */
  size: number;
  /** Tables (T). */
  tables: number;
  /**
   * Row ids, table-major. With `offsets` null every bag has one id and table t's lookup of input b is
   * `ids[t·B + b]`; else its bag is `ids[offsets[t·B + b] … offsets[t·B + b + 1])`.
   */
  ids: Int32Array;
  /** `[T·B + 1]` starts of bags, or null when each bag holds exactly one id. */
  offsets: Int32Array | null;
}

/** A mini-batch of inputs. */
export interface ClickBatch {
  /** Inputs (B). */
  size: number;
  /** `[B, nDense]`, row-major. */
  dense: Float32Array;
  lookups: Lookups;
  /** `[B]`, 0 or 1. */
  labels: Float32Array;
  /** `[B]` positions of the inputs in their part of the data set. */
  rows: Float64Array;
}
