/** @file A network's layers and how many parameters each has. */
import type { Shape } from "../../base/shape.ts";
import { sizeOf } from "../../base/shape.ts";
import { proteinModel, type ProteinModelName } from "../models/models.ts";
import { ProteinNetwork } from "./proteinNetwork.ts";

/** A layer with parameters. */
export interface LayerSummary {
  /** E.g. `convolution.0`, `lstm`. */
  name: string;
  shapes: Shape[];
  parameters: number;
}

/** The layers of a network for so many families, in the order of the network. */
export function summarizeNetwork(name: ProteinModelName, classes: number): LayerSummary[] {
  const { shapes } = ProteinNetwork.describe(proteinModel(name, classes));
  const layers = new Map<string, LayerSummary>();
  for (const [parameter, shape] of shapes) {
    // Both directions of the LSTM are one layer.
    const layer = parameter.replace(/\.\w+$/, "").replace(/\.(forward|backward)$/, "");
    const summary = layers.get(layer) ?? { name: layer, shapes: [], parameters: 0 };
    summary.shapes.push(shape);
    summary.parameters += sizeOf(shape);
    layers.set(layer, summary);
  }
  return [...layers.values()];
}
