/**
 * @file The graphs of a training step: loss function → gradients → optimizer update.
 *
 * On one device a step is one graph, {@link traceStep}. A batch in parts, on one device or several, takes three:
 * {@link traceGradients} on each part, a sum of the gradients outside of any graph, and {@link traceUpdate} once on each
 * device that holds the parameters.
 */
import { trace, type Graph, type StateUpdate } from "../../engine/graph/graph.ts";
import type { Tensor, TensorSpec } from "../../engine/graph/node.ts";
import { concat, reshape, slice } from "../../engine/graph/ops/movement.ts";
import { sizeOf } from "../../base/shape.ts";
import { dropout } from "../functional.ts";
import { clipGradientNorm, optimizerUpdates, type DenseOptimizer, type WeightDecay } from "../optimizers.ts";
import type { Parameters } from "../parameters.ts";
import { differentiate } from "./differentiate.ts";
import type { LossFunction } from "./lossFunction.ts";

/** How gradients change parameters. */
export interface UpdateRule {
  optimizer: DenseOptimizer;
  /** Gradients are scaled down together to this joint Euclidean norm. Defaults to no limit. */
  maxGradientNorm?: number;
  /** Defaults to none. */
  weightDecay?: WeightDecay;
}

/** The states that a training step reads and replaces; tracing declares them. */
export interface TrainedStates {
  parameters: Parameters;
  optimizerState: Parameters;
}

const SCALAR: TensorSpec = { shape: [], dtype: "float32" };
const KEY: TensorSpec = { shape: [4], dtype: "int32" };

/** Name of the input that holds the Philox key of a dropout, int32 `[4]`. @param place counted from 0 */
export function dropoutKey(place: number): string {
  return `dropout${place}`;
}

function inputsOf({ inputs, dropouts = 0 }: LossFunction): Record<string, TensorSpec> {
  const keys = Array.from({ length: dropouts }, (_, place) => [dropoutKey(place), KEY] as const);
  return { ...inputs, ...Object.fromEntries(keys) };
}

/** The loss with its outputs, and its gradient by every parameter. */
function applyLoss(
  lossFunction: LossFunction,
  parameters: Parameters,
  t: Record<string, Tensor>,
): { outputs: Record<string, Tensor>; gradients: Tensor[] } {
  const traced = lossFunction.apply(parameters, t, (x, probability, place) =>
    dropout(x, probability, t[dropoutKey(place)]!),
  );
  const wanted = Object.entries(traced.gradients ?? {});
  const { gradients, others } = differentiate(
    traced.loss,
    parameters,
    wanted.map(([, tensor]) => tensor),
  );
  const ofTensors = Object.fromEntries(wanted.map(([name], i) => [name, others[i]!]));
  return { outputs: { loss: traced.loss, ...traced.outputs, ...ofTensors }, gradients };
}

function updatesOf(
  { optimizer, maxGradientNorm, weightDecay }: UpdateRule,
  { parameters, optimizerState }: TrainedStates,
  gradients: readonly Tensor[],
  t: Record<string, Tensor>,
): StateUpdate[] {
  const clipped =
    maxGradientNorm === undefined ? gradients : clipGradientNorm(gradients, maxGradientNorm).gradients;
  return optimizerUpdates(optimizer, {
    parameters: parameters.tensors,
    gradients: clipped,
    optimizerState,
    learningRate: t["learningRate"]!,
    step: t["step"]!,
    ...(weightDecay && { weightDecay }),
  });
}

/**
 * The graph of one step.
 *
 * Inputs: those of the loss function, `learningRate` `[]`, `step` `[]` (1 at the first), and `dropout0`, … int32 `[4]`.
 * Outputs: `loss` `[]`, and those of the loss function, all of before the update.
 */
export function traceStep(lossFunction: LossFunction, update: UpdateRule, states: TrainedStates): Graph {
  const inputs = { ...inputsOf(lossFunction), learningRate: SCALAR, step: SCALAR };
  return trace(inputs, (t: Record<string, Tensor>) => {
    const { outputs, gradients } = applyLoss(lossFunction, states.parameters, t);
    return { outputs, updates: updatesOf(update, states, gradients, t) };
  });
}

/**
 * The first half of a step, for one part of its batch. Inputs and outputs as {@link traceStep} without learning rate and
 * step; a further output, `gradients` `[P]`, holds those of all parameters one after the other.
 */
export function traceGradients(lossFunction: LossFunction, parameters: Parameters): Graph {
  return trace(inputsOf(lossFunction), (t: Record<string, Tensor>) => {
    const { outputs, gradients } = applyLoss(lossFunction, parameters, t);
    const flat = concat(
      gradients.map((g) => reshape(g, [-1])),
      0,
    );
    return { outputs: { ...outputs, gradients: flat } };
  });
}

/**
 * The second half of a step: from the summed `gradients` `[P]`, `learningRate` `[]` and `step` `[]` to the next
 * parameters and optimizer state. No outputs.
 * @param states with all parameters declared
 */
export function traceUpdate(update: UpdateRule, states: TrainedStates): Graph {
  const { parameters } = states;
  const flat: TensorSpec = { shape: [parameters.size], dtype: "float32" };
  return trace({ gradients: flat, learningRate: SCALAR, step: SCALAR }, (t: Record<string, Tensor>) => {
    let end = 0;
    const gradients = parameters.tensors.map(({ shape }) => {
      const start = end;
      end += sizeOf(shape);
      return reshape(slice(t["gradients"]!, { 0: [start, end] }), shape);
    });
    return { outputs: {}, updates: updatesOf(update, states, gradients, t) };
  });
}
