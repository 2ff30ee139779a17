/**
 * @file ProFamNet's convolutions alone, to see what the rest of it adds: its two blocks, then the largest answer of
 * each filter along the sequence, then its last layers.
 */
import { maskedMax } from "../../nn/sequences.ts";
import { head, motifs } from "./profamnet.ts";
import type { ProteinModel } from "./proteinModel.ts";

/** The network for so many families. */
export function cnn(classes: number): ProteinModel {
  return {
    name: "cnn",
    classes,
    dropouts: 2,
    residuesPerStep: null,
    apply(p, batch, dropout) {
      const { steps, mask } = motifs(p, batch);
      return { logits: head(p, maskedMax(steps, mask), { dense: 128, classes }, dropout) };
    },
  };
}
