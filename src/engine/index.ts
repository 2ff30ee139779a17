/**
 * @file `pareto/engine`: symbolic tensors, differentiation, and devices that run graphs.
 *
 * `trace` a function into a graph → `openDevice` → `device.compile(graph)` → `program.run(feeds)`.
 */
export { backpropagate, grad } from "./autodiff.ts";
export type { DType, TypedArray } from "../base/dtype.ts";
export { diagnose } from "./doctor/diagnose.ts";
export { ParetoError } from "../base/errors.ts";
export type { ErrorDetail } from "../base/errors.ts";
export { trace } from "./graph/graph.ts";
export type { Graph, StateUpdate, Traced } from "./graph/graph.ts";
export type { Tensor, TensorSpec } from "./graph/node.ts";
export { conv1d, dotInteraction, matmul } from "./graph/ops/contraction.ts";
export {
  abs,
  add,
  cast,
  cos,
  div,
  equal,
  erf,
  exp,
  floor,
  less,
  lessEqual,
  log,
  logicalAnd,
  logicalNot,
  logicalOr,
  maximum,
  minimum,
  mul,
  neg,
  pow,
  relu,
  sigmoid,
  sign,
  sin,
  softplus,
  sqrt,
  sub,
  tanh,
  where,
} from "./graph/ops/elementwise.ts";
export { gather, scatterAdd, take } from "./graph/ops/indexing.ts";
export { constant, full, input, random, state } from "./graph/ops/leaf.ts";
export { broadcastTo, concat, flip, pad, reshape, slice, sum, transpose } from "./graph/ops/movement.ts";
export { argmax, cumsum, max, min, softmax } from "./graph/ops/reduce.ts";
export { scan } from "./graph/ops/scan.ts";
export type { ScanOptions } from "./graph/ops/scan.ts";
export { decodeHalf, encodeHalf } from "../base/half.ts";
export { exportOnnx } from "./onnx/exportModel.ts";
export { openDevice } from "./openDevice.ts";
export type { DeviceOptions } from "./openDevice.ts";
export { DeviceTensor } from "./program.ts";
export type { BoundTensors, Device, HostTensors, Precision, Program, TargetName } from "./program.ts";
export { Rng } from "../base/rng.ts";
export type { Shape } from "../base/shape.ts";
