/** @file The entries of a layer's cache as plain arrays. */

/** The entries of one layer's cache, those of each KV head in one run, head after head, in the order of their slots. */
export interface LayerSnapshot {
  /** Live entries of each KV head, `[kvHeads]`. */
  lengths: Int32Array;
  /** As they are cached: rotated, unless the policy numbers positions anew. `[Σ lengths, headDim]` */
  keys: Float32Array;
  /** `[Σ lengths, headDim]` */
  values: Float32Array;
  /** Position in the sequence, `[Σ lengths]`. */
  positions: Int32Array;
  /** `[Σ lengths]` */
  scores: Float32Array;
  /** Entries evicted so far, over all KV heads. */
  evicted: number;
}
