/** @file What a model is trained to minimize, as a function that a training step's graph is traced from. */
import type { Tensor, TensorSpec } from "../../engine/graph/node.ts";
import type { Parameters } from "../parameters.ts";

/**
 * Drops elements of a tensor with this probability, and scales the others up.
 * @param place which of the model's dropouts this is, counted from 0; each has a random stream of its own
 */
export type Dropout = (x: Tensor, probability: number, place: number) => Tensor;

/** What a loss function gives. */
export interface TracedLoss {
  /** float32 scalar. */
  loss: Tensor;
  /** Further outputs of a step by name, e.g. logits; computed before the update. */
  outputs?: Record<string, Tensor>;
  /**
   * Tensors whose gradient is an output too, by the output's name: `{ rowGradients: rows }` gives dL/drows, for inputs
   * that are trained outside of the graph.
   */
  gradients?: Record<string, Tensor>;
}

/** A loss over a batch of one shape. */
export interface LossFunction {
  /**
   * Specs of the batch's tensors by name. The names `learningRate`, `step`, `gradients` and `dropout0`, `dropout1`, … are
   * those of the step itself.
   */
  readonly inputs: Readonly<Record<string, TensorSpec>>;
  /** How many dropouts the model has. Defaults to 0. */
  readonly dropouts?: number;
  /**
   * Called once when a graph is traced. Where a batch comes in parts, losses of the parts must add up to that of the
   * whole.
   */
  apply(parameters: Parameters, inputs: Record<string, Tensor>, dropout: Dropout): TracedLoss;
}
