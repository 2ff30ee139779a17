/**
 * @file Multinomial naive Bayes over k-mers: the baseline that a network has to beat.
 *
 * The score of family c is log P(c) + Σ log P(kmer | c) over the k-mers of a sequence, repeats included, with
 * P(kmer | c) = (count + smoothing) / (total of c + smoothing · 22^k).
 */
import type { SequenceSet } from "../sequenceSet.ts";
import { kmerCount, longest, writeKmers } from "./kmers.ts";
import { softmax } from "./softmax.ts";

/** Options of {@link trainNaiveBayes}. */
export interface NaiveBayesOptions {
  /** Residues of a k-mer (default 3). */
  k?: number;
  /** Added to every count (default 1). */
  smoothing?: number;
}

/** A trained naive Bayes model. */
export interface NaiveBayes {
  k: number;
  families: number;
  /** `[22^k, families]` */
  logLikelihoods: Float32Array;
  /** `[families]` */
  logPriors: Float32Array;
}

/** Counts the k-mers of the training rows. */
export function trainNaiveBayes(
  set: SequenceSet,
  rows: Uint32Array,
  options: NaiveBayesOptions = {},
): NaiveBayes {
  const { k = 3, smoothing = 1 } = options;
  const families = set.families.length;
  const words = kmerCount(k);
  const counts = new Float64Array(words * families);
  const totals = new Float64Array(families);
  const sequences = new Float64Array(families);
  const kmers = new Uint32Array(longest(set));
  for (const row of rows) {
    const label = set.labels[row]!;
    const count = writeKmers(set, row, k, kmers);
    for (let i = 0; i < count; i++) counts[kmers[i]! * families + label]!++;
    totals[label]! += count;
    sequences[label]!++;
  }
  const logTotals = totals.map((total) => Math.log(total + smoothing * words));
  const logLikelihoods = new Float32Array(words * families);
  for (let i = 0; i < counts.length; i++) {
    logLikelihoods[i] = Math.log(counts[i]! + smoothing) - logTotals[i % families]!;
  }
  // A family without training rows cannot win.
  const logPriors = Float32Array.from(sequences, (count) => Math.log(count / rows.length));
  return { k, families, logLikelihoods, logPriors };
}

/**
 * Posterior probabilities of the families.
 * @returns `[rows, families]`; most are so close to 0 or 1 that float32 cannot tell them from it
 */
export function predictNaiveBayes(model: NaiveBayes, set: SequenceSet, rows: Uint32Array): Float32Array {
  const { families, logLikelihoods } = model;
  const kmers = new Uint32Array(longest(set));
  const scores = new Float64Array(families);
  const probabilities = new Float32Array(rows.length * families);
  for (const [i, row] of rows.entries()) {
    scores.set(model.logPriors);
    const count = writeKmers(set, row, model.k, kmers);
    for (let j = 0; j < count; j++) {
      const base = kmers[j]! * families;
      for (let c = 0; c < families; c++) scores[c]! += logLikelihoods[base + c]!;
    }
    softmax(scores);
    probabilities.set(scores, i * families);
  }
  return probabilities;
}
