/** @file Sizes of the runs that are recorded and repeated. */
import type { LmRunOptions } from "./languageModels.ts";
import type { ProteinRunOptions } from "./proteins.ts";

/** The reference target; drivers name only the targets that users choose from. */
export const REFERENCE = "reference" as "cpu";

// Batches of more than 32 rows are computed in parts on a CPU, on any number of threads to the same bits.
export const CNN: ProteinRunOptions = {
  device: "cpu",
  threads: 1,
  perFamily: 100,
  epochs: 3,
  batchSize: 48,
  length: 64,
};
export const PROFAMNET: ProteinRunOptions = { ...CNN, decoys: 0.2, flanks: 0.3 };

// One padded length, as the networks are of full size and plain TypeScript is slow.
export const PROTEIN_REFERENCE: ProteinRunOptions = {
  device: REFERENCE,
  threads: 1,
  perFamily: 10,
  epochs: 1,
  batchSize: 8,
  length: 16,
  decoys: 0.25,
};
export const LM_REFERENCE: LmRunOptions = { device: REFERENCE, threads: 1, steps: 4 };

/** Records that are classified. */
export const RECORDS = 500;
