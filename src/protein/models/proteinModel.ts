/** @file What a network over protein sequences is to the rest: from residues to a logit for each family. */
import type { Tensor } from "../../engine/graph/node.ts";
import type { Parameters } from "../../nn/parameters.ts";
import type { Dropout } from "../../nn/training/lossFunction.ts";

/** What a network makes of a batch. */
export interface ProteinOutputs {
  /** `[B, C]`. */
  logits: Tensor;
  /** Weights over steps of {@link ProteinModel.residuesPerStep} residues, `[B, ⌈T / residuesPerStep⌉]`. */
  attention?: Tensor;
}

/** A batch of sequences. */
export interface ProteinBatch {
  /** Residue ids int32 `[B, T]`, 0 behind the end. */
  ids: Tensor;
  /** Real residues int32 `[B]`, 1 to T. */
  lengths: Tensor;
}

/** A network. */
export interface ProteinModel {
  readonly name: string;
  /** Families (C). */
  readonly classes: number;
  /** How many layers drop elements in training. */
  readonly dropouts: number;
  /** Residues that one step of its attention covers; null without attention. */
  readonly residuesPerStep: number | null;
  /**
   * The network on a batch.
   * @param dropout left out where nothing is dropped
   */
  apply(p: Parameters, batch: ProteinBatch, dropout?: Dropout): ProteinOutputs;
}
