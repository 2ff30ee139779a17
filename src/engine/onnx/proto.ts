/**
 * @file ONNX models as bytes: the messages of onnx.proto that a graph needs, written with protobuf's own writer.
 * Only writing; reading a model back is the runtime's job. Field numbers are those of onnx.proto (IR version 9).
 */
import protobuf from "protobufjs/minimal.js";
import type { DType, TypedArray } from "../../base/dtype.ts";
import type { Shape } from "../../base/shape.ts";

type Writer = InstanceType<typeof protobuf.Writer>;

/** Operator set that lowered graphs use. */
const OPSET = 18;
const IR_VERSION = 9;
/** TensorProto.DataLocation of tensors whose elements lie in another file. */
const EXTERNAL = 1;

/** Element types of ONNX tensors that graphs use; indices in ONNX's own ops are int64. */
export type OnnxType = DType | "int64";

const typeCode: Record<OnnxType, number> = {
  float32: 1,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  bfloat16: 16,
};

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
  /** Names of further axes of any length, by axis. */
  freeAxes?: Readonly<Record<number, string>>;
}

/** Elements that lie in a file beside the model. */
export interface ExternalData {
  /** The file's name, relative to the model. */
  location: string;
  offset: number;
  sizeBytes: number;
}

/** Elements that whoever writes the model appends to the tensor's header; see {@link modelParts}. */
export interface StreamedData {
  sizeBytes: number;
}

/** A tensor stored in the model. */
export interface OnnxInitializer {
  name: string;
  dtype: OnnxType;
  shape: Shape;
  data: TypedArray | BigInt64Array | ExternalData | StreamedData;
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
            const free = value.freeAxes?.[axis] ?? (axis === 0 ? value.freeAxis : undefined);
            if (free) dim.uint32(key(2, 2)).string(free);
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
  if (ArrayBuffer.isView(data)) {
    w.uint32(key(9, 2)).bytes(new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength));
  } else if ("location" in data) {
    const entries = { location: data.location, offset: data.offset, length: data.sizeBytes };
    for (const [name, value] of Object.entries(entries)) {
      message(w, 13, (entry) => writeText(entry, name, String(value)));
    }
    w.uint32(key(14, 0)).int32(EXTERNAL);
  } else {
    w.uint32(key(9, 2)).uint32(data.sizeBytes);
  }
}

function writeText(w: Writer, name: string, value: string): void {
  w.uint32(key(1, 2)).string(name).uint32(key(2, 2)).string(value);
}

const isStreamed = ({ data }: OnnxInitializer) => !ArrayBuffer.isView(data) && !("location" in data);

/** All of a graph but its streamed tensors. */
function writeGraph(w: Writer, graph: OnnxGraph): void {
  for (const node of graph.nodes) message(w, 1, (inner) => writeNode(inner, node));
  w.uint32(key(2, 2)).string(graph.name);
  for (const tensor of graph.initializers) {
    if (!isStreamed(tensor)) message(w, 5, (inner) => writeInitializer(inner, tensor));
  }
  for (const value of graph.inputs) message(w, 11, (inner) => writeValue(inner, value));
  for (const value of graph.outputs) message(w, 12, (inner) => writeValue(inner, value));
}

function written(write: (w: Writer) => void): Uint8Array {
  const w = protobuf.Writer.create();
  write(w);
  return w.finish();
}

/** A model's bytes around the elements of its streamed tensors. */
export interface ModelParts {
  /** Comes first. */
  head: Uint8Array;
  /** Then, for each streamed tensor in the graph's order, this header and the tensor's elements. */
  tensors: { tensor: OnnxInitializer; header: Uint8Array }[];
}

/**
 * A model in parts, so that its large tensors never need to be in memory. Protobuf allows fields in any order:
 * the graph, which has the tensors, comes last in the model, and the tensors last in the graph.
 * @param metadata shown by viewers and read by servers, e.g. `{ description: … }`
 */
export function modelParts(graph: OnnxGraph, metadata: Readonly<Record<string, string>> = {}): ModelParts {
  const body = written((w) => writeGraph(w, graph));
  let graphBytes = body.length;
  const tensors = graph.initializers.filter(isStreamed).map((tensor) => {
    const fields = written((w) => writeInitializer(w, tensor));
    const { sizeBytes } = tensor.data as StreamedData;
    const header = written((w) => w.uint32(key(5, 2)).uint32(fields.length + sizeBytes));
    graphBytes += header.length + fields.length + sizeBytes;
    return { tensor, header: Buffer.concat([header, fields]) };
  });
  const head = written((w) => {
    w.uint32(key(1, 0)).int64(IR_VERSION);
    w.uint32(key(2, 2)).string("pareto");
    message(w, 8, (opset) => opset.uint32(key(2, 0)).int64(OPSET));
    for (const [name, value] of Object.entries(metadata))
      message(w, 14, (entry) => writeText(entry, name, value));
    w.uint32(key(7, 2)).uint32(graphBytes);
  });
  return { head: Buffer.concat([head, body]), tensors };
}

/** A model file whose tensors are all in memory (or in a file beside it). */
export function encodeModel(graph: OnnxGraph): Uint8Array {
  return modelParts(graph).head;
}
