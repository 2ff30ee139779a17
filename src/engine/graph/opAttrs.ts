/**
 * @file Every op's name and its static attributes. This list is the engine's instruction set: a target's kernel
 * table is typed over it, so an op that a target lacks is a compile error.
 *
 * Primitives are what every target computes. Composites are defined by primitives; a target may compute one as a
 * whole, others take it apart first (`passes/decomposeComposites.ts`).
 *
 * The types are generic over the tensor `T`, which only the body of a loop holds: `node.ts` defines the tensor and
 * names the attributes over it, `OpAttrs`.
 */
import type { DType, TypedArray } from "../../base/dtype.ts";
import type { Shape } from "../../base/shape.ts";

type None = Record<never, never>;

/** A scan's step as a sub-graph over its own leaf tensors. */
export interface ScanBody<T> {
  /** Leaves standing for loop constants, then carries, then slices of the sequences. */
  readonly parameters: readonly T[];
  /** New carries, then this step's outputs. */
  readonly results: readonly T[];
  readonly constants: number;
  readonly carries: number;
}

/** Attributes of the primitives by name. */
interface PrimitiveAttrs<T> {
  // leaves
  input: { name: string; shape: Shape; dtype: DType };
  state: { name: string; shape: Shape; dtype: DType };
  constant: { data: TypedArray; shape: Shape; dtype: DType };
  random: { shape: Shape };
  // elementwise, one operand
  neg: None;
  abs: None;
  sign: None;
  exp: None;
  log: None;
  sqrt: None;
  sin: None;
  cos: None;
  tanh: None;
  sigmoid: None;
  softplus: None;
  relu: None;
  erf: None;
  floor: None;
  logicalNot: None;
  cast: { dtype: DType };
  // elementwise, broadcasting
  add: None;
  sub: None;
  mul: None;
  div: None;
  pow: None;
  maximum: None;
  minimum: None;
  equal: None;
  less: None;
  lessEqual: None;
  logicalAnd: None;
  logicalOr: None;
  where: None;
  // movement
  reshape: { shape: Shape };
  broadcastTo: { shape: Shape };
  transpose: { permutation: readonly number[] };
  slice: { starts: readonly number[]; ends: readonly number[]; steps: readonly number[] };
  pad: { before: readonly number[]; after: readonly number[]; value: number };
  concat: { axis: number };
  flip: { axis: number };
  // along axes
  sum: { axes: readonly number[] };
  max: { axes: readonly number[] };
  argmax: { axis: number };
  cumsum: { axis: number };
  softmax: None;
  // contraction
  matmul: { transposeA: boolean; transposeB: boolean; outDtype: DType };
  conv1d: Conv1dAttrs;
  conv1dInputGradient: Conv1dAttrs & { inputLength: number };
  conv1dKernelGradient: Conv1dAttrs & { kernelLength: number };
  dotInteraction: None;
  dotInteractionGradient: None;
  // indexing
  gather: None;
  scatterAdd: { rows: number };
  take: { axis: number; indices: readonly number[] };
  // loops
  scan: { body: ScanBody<T>; length: number; reverse: boolean };
}

/** Attributes of the composites by name. */
interface CompositeAttrs {
  softmaxGradient: None;
  layerNorm: { epsilon: number };
  layerNormGradient: { epsilon: number };
  rmsNorm: { epsilon: number };
  crossEntropy: None;
  crossEntropyGradient: None;
  lstmCell: None;
  lstmCellGradient: None;
  lstmScan: LstmScanAttrs;
  lstmScanGradient: LstmScanAttrs;
  featureInteraction: None;
  featureInteractionGradient: None;
  attention: AttentionAttrs;
  attentionGradient: AttentionAttrs;
}

/** Attributes by op name, over tensors `T`. */
export interface AttrsByOp<T> extends PrimitiveAttrs<T>, CompositeAttrs {}

/** Attributes of LSTM loops and their gradient: which of the directions run from the last step to the first. */
export interface LstmScanAttrs {
  reverse: readonly boolean[];
}

/**
 * Attributes of attention and its gradient: query i, at position i' = i + S − T, sees keys up to i' if causal and from
 * i' − window + 1 on; the factor of the scores; slopes by query head of what distance takes from them.
 */
export interface AttentionAttrs {
  causal: boolean;
  scale: number;
  window?: number;
  alibiSlopes?: readonly number[];
}

/** Attributes shared by a convolution and its gradients. */
export interface Conv1dAttrs {
  stride: number;
  dilation: number;
  padding: readonly [number, number];
  groups: number;
}

/** Name of an op that every target computes. */
export type PrimitiveName = keyof PrimitiveAttrs<unknown>;

/** Name of an op that is defined by primitives. */
export type CompositeName = keyof CompositeAttrs;

/** Name of an op. */
export type OpName = PrimitiveName | CompositeName;
