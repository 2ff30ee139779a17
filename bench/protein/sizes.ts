/** @file What the protein benchmarks are measured on: the sizes of the figures, and small ones that show it all runs. */

/** Sizes of every case. */
export interface ProteinSizes {
  /** Whether figures mean nothing. */
  readonly small: boolean;
  /** Families of the networks (C). */
  readonly families: number;
  /** Residues that they read (L). */
  readonly length: number;
  /** Batches trained on the CPU, and how many steps are timed of each. */
  readonly cpu: readonly TrainingSize[];
  readonly gpu: readonly TrainingSize[];
  /** Records of the file that is classified for its rate, and of the two files whose memory is compared. */
  readonly records: number;
  readonly memoryRecords: readonly [number, number];
}

/** A training case. */
export interface TrainingSize {
  readonly batchSize: number;
  /** Timed in a stretch; PyTorch takes as many. */
  readonly steps: number;
  /** What the rate over PyTorch's should be at least. */
  readonly target: number;
}

/** The sizes that the figures are stated for. */
export const fullSizes: ProteinSizes = {
  small: false,
  families: 73,
  length: 256,
  cpu: [{ batchSize: 128, steps: 12, target: 1.2 }],
  gpu: [
    { batchSize: 128, steps: 400, target: 1.5 },
    { batchSize: 1024, steps: 120, target: 1 },
  ],
  records: 20_000,
  memoryRecords: [10_000, 1_000_000],
};

/** Sizes for a test that every case runs: a few seconds on anything. */
export const smallSizes: ProteinSizes = {
  small: true,
  families: 3,
  length: 32,
  cpu: [{ batchSize: 4, steps: 2, target: 1.2 }],
  gpu: [{ batchSize: 4, steps: 2, target: 1.5 }],
  records: 40,
  memoryRecords: [20, 60],
};
