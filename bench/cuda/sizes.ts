/** @file What the CUDA benchmarks are measured on: the sizes of the figures, and small ones that only show it runs. */

/** An attention over texts of one length. */
export interface AttentionSize {
  readonly batch: number;
  readonly heads: number;
  readonly tokens: number;
  readonly headDim: number;
  /** Whether scores fall with distance. */
  readonly alibi: boolean;
  readonly passes: readonly ("forward" | "backward")[];
}

/** Sizes of every case. */
export interface CudaSizes {
  /** Whether figures mean nothing. */
  readonly small: boolean;
  /** Edge of the square matrix products. */
  readonly productWidth: number;
  /** Elements (float32) of the tensors of elementwise work and row reductions, and how many a row has. */
  readonly elements: number;
  readonly rowWidth: number;
  /** Bytes of the embedding table that rows are gathered from and updated in, and lookups at once. */
  readonly tableBytes: number;
  readonly lookups: number;
  readonly attention: readonly AttentionSize[];
  /** Multiplies the rows of the Kaggle tables. */
  readonly rowsScale: number;
  readonly batches: readonly number[];
  /** Steps timed of a training case. */
  readonly steps: number;
  /** FAE: training inputs, and inputs of a batch. */
  readonly faeInputs: number;
  readonly faeBatch: number;
  readonly faeHotBytes: number;
  readonly faePairs: number;
  /** Milliseconds of GPU work that a timed sample should have, and samples of each task. */
  readonly sampleMs: number;
  readonly rounds: number;
}

const MIB = 2 ** 20;

/** The sizes that the figures are stated for. */
export const fullSizes: CudaSizes = {
  small: false,
  productWidth: 4096,
  elements: 256 * MIB,
  rowWidth: 4096,
  tableBytes: 4096 * MIB,
  lookups: 4 * MIB,
  attention: [
    { batch: 2, heads: 16, tokens: 4096, headDim: 128, alibi: false, passes: ["forward", "backward"] },
    // Prompts of MPT-7B and of GPT-J-6B.
    { batch: 1, heads: 32, tokens: 4096, headDim: 128, alibi: true, passes: ["forward"] },
    { batch: 1, heads: 16, tokens: 4096, headDim: 256, alibi: false, passes: ["forward"] },
  ],
  rowsScale: 1,
  batches: [2048, 16_384],
  steps: 300,
  faeInputs: 2048 * 3072,
  faeBatch: 2048,
  faeHotBytes: 256 * MIB,
  faePairs: 3,
  sampleMs: 4,
  rounds: 15,
};

/** Sizes for a test that every case runs: a second or two on anything. */
export const smallSizes: CudaSizes = {
  small: true,
  productWidth: 64,
  elements: 4096,
  rowWidth: 256,
  tableBytes: MIB / 4,
  lookups: 512,
  attention: [
    { batch: 1, heads: 1, tokens: 128, headDim: 128, alibi: false, passes: ["forward", "backward"] },
    { batch: 1, heads: 2, tokens: 128, headDim: 128, alibi: true, passes: ["forward"] },
    { batch: 1, heads: 1, tokens: 128, headDim: 256, alibi: false, passes: ["forward"] },
  ],
  rowsScale: 1e-4,
  batches: [64, 128],
  steps: 12,
  faeInputs: 128 * 48,
  faeBatch: 128,
  faeHotBytes: 64 * 1024,
  faePairs: 1,
  sampleMs: 0,
  rounds: 2,
};
