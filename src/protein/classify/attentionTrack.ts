/**
 * @file Attention mapped back to residues. A network weighs steps of a few residues; over the windows of a long
 * sequence the weights are averaged where they overlap.
 */
import type { Window } from "./windows.ts";

/** Neighbouring residues that got more attention than the mean residue. */
export interface AttentionSpan {
  /** First and last residue, counted from 1, both included. */
  start: number;
  end: number;
  /** Share of the sequence's attention that the span got. */
  weight: number;
}

/** Gathers the weights of a sequence. */
export class AttentionTrack {
  readonly #weights: Float64Array;
  readonly #counts: Uint32Array;
  readonly #perStep: number;

  /** @param residues of the sequence @param perStep residues that one step covers */
  constructor(residues: number, perStep: number) {
    this.#weights = new Float64Array(residues);
    this.#counts = new Uint32Array(residues);
    this.#perStep = perStep;
  }

  /** Takes a window's weights; a step's weight is shared by its residues. */
  add({ start, end }: Window, weights: Float32Array): void {
    const perStep = this.#perStep;
    for (let from = start, step = 0; from < end; from += perStep, step++) {
      const to = Math.min(end, from + perStep);
      for (let residue = from; residue < to; residue++) {
        this.#weights[residue]! += weights[step]! / (to - from);
        this.#counts[residue]!++;
      }
    }
  }

  /** Stretches above the mean, in the order of the sequence; weights are shares of the whole. */
  spans(): AttentionSpan[] {
    const weights = this.#weights.map((weight, i) => weight / this.#counts[i]!);
    const total = weights.reduce((a, b) => a + b, 0);
    const mean = total / weights.length;
    const found: AttentionSpan[] = [];
    let open: AttentionSpan | null = null;
    weights.forEach((weight, i) => {
      // Rounding must not make a span of a sequence that is weighed evenly.
      if (weight <= mean * (1 + 1e-6)) {
        open = null;
        return;
      }
      if (!open) found.push((open = { start: i + 1, end: i, weight: 0 }));
      open.end = i + 1;
      open.weight += weight / total;
    });
    return found;
  }
}
