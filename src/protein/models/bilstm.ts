/**
 * @file ProFamNet's bidirectional LSTM alone, to see what the rest of it adds: it reads the embedded residues one by
 * one, and its outputs' mean goes to the same last layers.
 */
import { transpose } from "../../engine/graph/ops/movement.ts";
import { embedding } from "../../nn/layers.ts";
import { bidirectionalLstm } from "../../nn/recurrent.ts";
import { maskSteps, maskedMean, lengthMask } from "../../nn/sequences.ts";
import { ALPHABET_SIZE } from "../alphabet.ts";
import { head } from "./profamnet.ts";
import type { ProteinModel } from "./proteinModel.ts";

/** The network for so many families. */
export function bilstm(classes: number): ProteinModel {
  return {
    name: "bilstm",
    classes,
    dropouts: 2,
    residuesPerStep: null,
    apply(p, { ids, lengths }, dropout) {
      const mask = lengthMask(lengths, ids.shape[1]!);
      const residues = maskSteps(embedding(p, "embedding", transpose(ids), ALPHABET_SIZE, 64), mask);
      const steps = bidirectionalLstm(p, "lstm", residues, 128, mask);
      return { logits: head(p, maskedMean(steps, mask), { dense: 128, classes }, dropout) };
    },
  };
}
