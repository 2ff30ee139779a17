/** @file The layers of a model and how many parameters each has. */
import { sizeOf, type Shape } from "../base/shape.ts";
import type { Parameters } from "./parameters.ts";

/** A layer with parameters. */
export interface LayerSummary {
  /** E.g. `convolution.0`, `lstm`. */
  name: string;
  /** Of its parameters, in order of declaration. */
  shapes: Shape[];
  /** Elements of all of them. */
  parameters: number;
}

/** The layers that have parameters, in order of declaration; a layer is what `LAYER.NAME` is a parameter of. */
export function summarizeLayers(parameters: Parameters): LayerSummary[] {
  const layers = new Map<string, LayerSummary>();
  for (const name of parameters.names) {
    const shape = parameters.shapeOf(name);
    // Both directions of an LSTM are one layer.
    const layer = name.replace(/\.\w+$/, "").replace(/\.(forward|backward)$/, "");
    const summary = layers.get(layer) ?? { name: layer, shapes: [], parameters: 0 };
    summary.shapes.push(shape);
    summary.parameters += sizeOf(shape);
    layers.set(layer, summary);
  }
  return [...layers.values()];
}
