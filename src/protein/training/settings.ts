/** @file What decides how a protein network is trained. */
import { z } from "zod";
import { mayChange } from "../../run/resumedConfig.ts";
import { PROTEIN_MODELS } from "../models/models.ts";

/** Settings of training, all resolved. */
export const proteinSettings = z.strictObject({
  model: z.enum(PROTEIN_MODELS),
  /** Residues that the network reads (L). */
  length: z.int().min(1).max(65_536),
  batchSize: z.int().min(1).max(65_536),
  epochs: z.int().min(1),
  /** Epochs without a better {@link monitor} on the validation part before training stops. */
  patience: z.int().min(1),
  /** The figure on the validation part that says which epoch's weights are kept. Defaults to `macroF1`. */
  monitor: z.enum(["macroF1", "logLoss", "accuracy"]).exactOptional(),
  learningRate: z.number().positive(),
  /** Share of a batch that is decoys, sequences of no family, at most a half. */
  decoys: z.number().min(0).max(0.5),
  /** Share of the sequences that are trained on between residues of no family. */
  flanks: z.number().min(0).max(1),
  /** Policy that chooses the probability below which a sequence is of no known family, e.g. `calibrated:passing=0.9`. */
  threshold: z.string(),
  /** Of weights, dropout and order. */
  seed: z.int().min(0),
  // What changes no result, or rounding and which elements are dropped.
  device: mayChange(z.enum(["cpu", "cuda"])),
  threads: mayChange(z.int().min(1).max(1024)),
  precision: mayChange(z.enum(["float32", "tf32"])),
});

/** Settings of training, all resolved. */
export type ProteinSettings = z.infer<typeof proteinSettings>;

/** Default settings; the size of a batch follows from the data, by {@link batchSizeFor}. */
export const DEFAULT_SETTINGS = {
  model: "profamnet",
  length: 256,
  epochs: 25,
  patience: 4,
  learningRate: 1e-3,
  decoys: 0,
  flanks: 0,
  threshold: "calibrated",
  seed: 1,
} as const satisfies Partial<ProteinSettings>;

const SIZES = [128, 64, 32, 16] as const;
/** Steps that an epoch has at least, unless batches are of the smallest size. */
const LEAST_STEPS = 64;

/**
 * The size of a batch for so many training sequences: 128, and less below 8,192, for a small set has too few steps of
 * such batches in the epochs that are usual.
 */
export function batchSizeFor(sequences: number): number {
  return SIZES.find((size) => sequences >= LEAST_STEPS * size) ?? SIZES.at(-1)!;
}

/** Decoys in a full batch. */
export function decoyRows({ decoys, batchSize }: Pick<ProteinSettings, "decoys" | "batchSize">): number {
  return Math.min(Math.floor(batchSize / 2), Math.round(decoys * batchSize));
}

/** Epochs without a better epoch after which the learning rate is halved, again and again. */
export const STALE_EPOCHS = 2;
