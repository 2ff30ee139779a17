/** @file Collects the nodes and stored tensors of one ONNX graph while ops are lowered into it. */
import type { TypedArray } from "../../base/dtype.ts";
import type { Shape } from "../../base/shape.ts";
import type { OnnxAttribute, OnnxGraph, OnnxInitializer, OnnxNode, OnnxType, OnnxValue } from "./proto.ts";

/** Hands out names that are unique over a graph and the bodies of its loops. */
export class NameSource {
  #next = 0;
  /** A name that no other tensor of the model has. */
  fresh(stem: string): string {
    return `${stem}_${this.#next++}`;
  }
}

/** An axis that may have any length when the model runs, and stands for itself in shapes while it is lowered. */
export interface FreeLength {
  /** The length that the graph was traced at; so odd that any multiple of it comes from this axis. */
  readonly length: number;
  /** The ONNX input whose first axis it is. */
  readonly input: string;
}

/** One ONNX graph under construction. */
export class OnnxBuilder {
  readonly names: NameSource;
  readonly free: FreeLength | undefined;
  readonly #nodes: OnnxNode[] = [];
  readonly #initializers: OnnxInitializer[] = [];
  readonly #stored = new Map<string, string>();

  constructor(names = new NameSource(), free?: FreeLength) {
    this.names = names;
    this.free = free;
  }

  /** Whether a length is that of the free axis, or of that axis folded with others. */
  isFree(length: number): boolean {
    return this.free !== undefined && length > 0 && length % this.free.length === 0;
  }

  /** The free axis's length as int64 `[1]`, times `factor`, found when the model runs. */
  freeLength(factor: number): string {
    return this.#once(`free ${factor}`, () => {
      const shape = this.op("Shape", [this.free!.input], { start: 0, end: 1 });
      return factor === 1 ? shape : this.op("Mul", [shape, this.int64s([factor])]);
    });
  }

  /** Adds a node of one output and returns that output's name. */
  op(type: string, inputs: string[], attributes: Record<string, OnnxAttribute> = {}): string {
    return this.ops(type, inputs, 1, attributes)[0]!;
  }

  /** Adds a node of several outputs. */
  ops(
    type: string,
    inputs: string[],
    outputs: number,
    attributes: Record<string, OnnxAttribute> = {},
  ): string[] {
    const names = Array.from({ length: outputs }, () => this.names.fresh(type));
    this.#nodes.push({ type, inputs, outputs: names, attributes });
    return names;
  }

  /** Gives a tensor a second name, as outputs of a graph need. */
  identity(input: string, output: string): void {
    this.#nodes.push({ type: "Identity", inputs: [input], outputs: [output], attributes: {} });
  }

  /** Stores a tensor in the model. */
  initializer(dtype: OnnxType, shape: Shape, data: TypedArray | BigInt64Array): string {
    const name = this.names.fresh("constant");
    this.#initializers.push({ name, dtype, shape, data });
    return name;
  }

  /** A stored list of int64, as ONNX takes shapes, axes and positions; equal lists are stored once. */
  int64s(values: readonly number[]): string {
    return this.#once(`int64s ${values.join()}`, () =>
      this.initializer("int64", [values.length], BigInt64Array.from(values, BigInt)),
    );
  }

  /** A stored float32 scalar. */
  float(value: number): string {
    return this.#once(`float ${value}`, () => this.initializer("float32", [], Float32Array.of(value)));
  }

  /** The finished graph. */
  finish(name: string, inputs: OnnxValue[], outputs: OnnxValue[]): OnnxGraph {
    return { name, nodes: this.#nodes, inputs, outputs, initializers: this.#initializers };
  }

  #once(id: string, make: () => string): string {
    const known = this.#stored.get(id);
    if (known) return known;
    const name = make();
    this.#stored.set(id, name);
    return name;
  }
}
