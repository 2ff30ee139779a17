/**
 * @file ONNX models as bytes: the messages of onnx.proto that a graph needs, written with protobuf's own writer.
 * Only writing; reading a model back is the runtime's job. Field numbers are those of onnx.proto (IR version 9).
 */
import protobuf from "protobufjs/minimal.js";
import type { DType, TypedArray } from "../dtype.ts";
import type { Shape } from "../shape.ts";

type Writer = InstanceType<typeof protobuf.Writer>;

/** Operator set that lowered graphs use. */
export const OPSET = 18;
const IR_VERSION = 9;

/** Element types of ONNX tensors that graphs use; indices in ONNX's own ops are int64. */
export type OnnxType = DType | "int64";

const typeCode: Record<OnnxType, number> = { float32: 1, int32: 6, int64: 7, bool: 9, float64: 11 };

/** An attribute of a node; whole numbers in lists and alone are ints unless wrapped as `{ float }`. */
export type OnnxAttribute = number | string | readonly number[] | { float: number } | { graph: OnnxGraph };

/** A node of an ONNX graph. */
export interface OnnxNode {
  type: string;
  inputs: string[];
  outputs: string[];
  attributes: Record<string, OnnxAttribute>;
}

/** A named tensor's type. */
export interface OnnxValue {
  name: string;
  dtype: OnnxType;
  shape: Shape;
  /** Name of a first axis of any length (the batch), in exported models. */
  freeAxis?: string;
}

/** A tensor stored in the model. */
export interface OnnxInitializer {
  name: string;
  dtype: OnnxType;
  shape: Shape;
  data: TypedArray | BigInt64Array;
}

/** A graph, or a loop's body. */
export interface OnnxGraph {
  name: string;
  nodes: OnnxNode[];
  inputs: OnnxValue[];
  outputs: OnnxValue[];
  initializers: OnnxInitializer[];
}

const key = (field: number, wire: 0 | 2 | 5) => (field << 3) | wire;

function message(w: Writer, field: number, write: (w: Writer) => void): void {
  w.uint32(key(field, 2)).fork();
  write(w);
  w.ldelim();
}

function writeAttribute(w: Writer, name: string, value: OnnxAttribute): void {
  w.uint32(key(1, 2)).string(name);
  const type = (code: number) => w.uint32(key(20, 0)).int32(code);
  if (typeof value === "number") {
    w.uint32(key(3, 0)).int64(value);
    type(2);
  } else if (typeof value === "string") {
    w.uint32(key(4, 2)).string(value);
    type(3);
  } else if ("float" in value) {
    w.uint32(key(2, 5)).float(value.float);
    type(1);
  } else if ("graph" in value) {
    message(w, 6, (inner) => writeGraph(inner, value.graph));
    type(5);
  } else {
    for (const n of value) w.uint32(key(8, 0)).int64(n);
    type(7);
  }
}

function writeNode(w: Writer, node: OnnxNode): void {
  for (const name of node.inputs) w.uint32(key(1, 2)).string(name);
  for (const name of node.outputs) w.uint32(key(2, 2)).string(name);
  w.uint32(key(4, 2)).string(node.type);
  for (const [name, value] of Object.entries(node.attributes)) {
    message(w, 5, (inner) => writeAttribute(inner, name, value));
  }
}

function writeValue(w: Writer, value: OnnxValue): void {
  w.uint32(key(1, 2)).string(value.name);
  message(w, 2, (type) =>
    message(type, 1, (tensor) => {
      tensor.uint32(key(1, 0)).int32(typeCode[value.dtype]);
      message(tensor, 2, (shape) =>
        value.shape.forEach((n, axis) =>
          message(shape, 1, (dim) => {
            if (axis === 0 && value.freeAxis) dim.uint32(key(2, 2)).string(value.freeAxis);
            else dim.uint32(key(1, 0)).int64(n);
          }),
        ),
      );
    }),
  );
}

function writeInitializer(w: Writer, tensor: OnnxInitializer): void {
  for (const n of tensor.shape) w.uint32(key(1, 0)).int64(n);
  w.uint32(key(2, 0)).int32(typeCode[tensor.dtype]);
  w.uint32(key(8, 2)).string(tensor.name);
  const { data } = tensor;
  w.uint32(key(9, 2)).bytes(new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength));
}

function writeGraph(w: Writer, graph: OnnxGraph): void {
  for (const node of graph.nodes) message(w, 1, (inner) => writeNode(inner, node));
  w.uint32(key(2, 2)).string(graph.name);
  for (const tensor of graph.initializers) message(w, 5, (inner) => writeInitializer(inner, tensor));
  for (const value of graph.inputs) message(w, 11, (inner) => writeValue(inner, value));
  for (const value of graph.outputs) message(w, 12, (inner) => writeValue(inner, value));
}

/**
 * A model file.
 * @param metadata shown by viewers, e.g. `{ description: … }`
 */
export function encodeModel(graph: OnnxGraph, metadata: Record<string, string> = {}): Uint8Array {
  const w = protobuf.Writer.create();
  w.uint32(key(1, 0)).int64(IR_VERSION);
  w.uint32(key(2, 2)).string("pareto");
  message(w, 7, (inner) => writeGraph(inner, graph));
  message(w, 8, (opset) => opset.uint32(key(2, 0)).int64(OPSET));
  for (const [name, value] of Object.entries(metadata)) {
    message(w, 14, (entry) => entry.uint32(key(1, 2)).string(name).uint32(key(2, 2)).string(value));
  }
  return w.finish();
}
