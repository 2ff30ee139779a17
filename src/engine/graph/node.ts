/**
 * @file The graph: nodes that apply an op to tensors, and the symbolic tensors between them.
 *
 * A graph is a pure DAG built by calling op functions; there is no tape and no global state, so a tensor may be
 * shared, differentiated and rewritten freely. Shapes are static. A node holds its op's definition, which states
 * the shape and dtype rule and the gradient rule; the numeric meaning of a primitive stands in `targets/reference`,
 * that of a composite is its decomposition.
 */
import type { DType } from "../../base/dtype.ts";
import { ParetoError } from "../../base/errors.ts";
import { checkShape, type Shape } from "../../base/shape.ts";
import type { AttrsByOp, OpName } from "./opAttrs.ts";

/** Shape and element type of a tensor. */
export interface TensorSpec {
  readonly shape: Shape;
  readonly dtype: DType;
}

/** A symbolic tensor: one output of a node. */
export class Tensor implements TensorSpec {
  readonly node: Node;
  /** Which of the node's outputs it is. */
  readonly index: number;
  readonly shape: Shape;
  readonly dtype: DType;

  constructor(node: Node, index: number, spec: TensorSpec) {
    this.node = node;
    this.index = index;
    this.shape = spec.shape;
    this.dtype = spec.dtype;
  }
}

/** Static attributes by op name. */
export interface OpAttrs extends AttrsByOp<Tensor> {}

/** Gradient of each input of a node, given those of its outputs; null where none flows. */
export type GradientRule<K extends OpName> = (
  node: Node<K>,
  outputGradients: readonly (Tensor | null)[],
) => readonly (Tensor | null)[];

/** What an op is: its name, its shape and dtype rule, its gradient. */
export interface OpDefinition<K extends OpName> {
  readonly name: K;
  /** Output specs; throws a ParetoError on operands that do not fit. */
  readonly infer: (inputs: readonly Tensor[], attrs: OpAttrs[K]) => readonly TensorSpec[];
  /** Absent on ops with no derivative (comparisons, argmax): gradients stop there. */
  readonly gradient?: GradientRule<K>;
  /** Present on composites: the outputs by primitives, or by composites that decompose further. */
  readonly decompose?: (inputs: readonly Tensor[], attrs: OpAttrs[K]) => readonly Tensor[];
}

let nextId = 0;

/** An op applied to tensors. */
export class Node<K extends OpName = OpName> {
  /** Creation order; an input's producer always has a smaller id. */
  readonly id: number;
  readonly definition: OpDefinition<K>;
  readonly inputs: readonly Tensor[];
  readonly attrs: OpAttrs[K];
  readonly outputs: readonly Tensor[];

  constructor(definition: OpDefinition<K>, inputs: readonly Tensor[], attrs: OpAttrs[K]) {
    this.id = nextId++;
    this.definition = definition;
    this.inputs = inputs;
    this.attrs = attrs;
    const specs = definition.infer(inputs, attrs);
    for (const spec of specs) checkShape(definition.name, spec.shape);
    this.outputs = specs.map((spec, index) => new Tensor(this as unknown as Node, index, spec));
  }

  /** The op's name. */
  get op(): K {
    return this.definition.name;
  }
}

/** A node of any op, narrowed by `node.op`. */
export type AnyNode = { [K in OpName]: Node<K> }[OpName];

/** Applies an op and returns all its outputs. */
export function applyAll<K extends OpName>(
  definition: OpDefinition<K>,
  inputs: readonly Tensor[],
  attrs: OpAttrs[K],
): readonly Tensor[] {
  return new Node(definition, inputs, attrs).outputs;
}

/** Applies an op of one output. */
export function apply<K extends OpName>(
  definition: OpDefinition<K>,
  inputs: readonly Tensor[],
  attrs: OpAttrs[K],
): Tensor {
  return applyAll(definition, inputs, attrs)[0]!;
}

/** Throws unless all operands have one element type, which is returned. */
export function commonDtype(where: string, inputs: readonly Tensor[]): DType {
  const dtype = inputs[0]!.dtype;
  if (inputs.some((t) => t.dtype !== dtype)) {
    throw new ParetoError({
      code: "DTYPE_MIXED",
      where,
      message: `${where}: operands must have one element type, got ${inputs.map((t) => t.dtype).join(" and ")}`,
      fix: "Convert one of them with cast(x, dtype); there is no implicit promotion.",
    });
  }
  return dtype;
}

/** Throws unless the element type is among those allowed. */
export function requireDtype(where: string, tensor: Tensor, ...allowed: DType[]): void {
  if (!allowed.includes(tensor.dtype)) {
    throw new ParetoError({
      code: "DTYPE_OPERAND",
      where,
      message: `${where}: expected ${allowed.join(" or ")}, got ${tensor.dtype}`,
      fix: `Convert the operand with cast(x, "${allowed[0]}").`,
    });
  }
}

/** Throws unless the tensor has this many axes. */
export function requireRank(where: string, tensor: Tensor, rank: number): void {
  if (tensor.shape.length !== rank) {
    throw new ParetoError({
      code: "SHAPE_RANK",
      where,
      message: `${where}: expected a tensor of ${rank} axes, got [${tensor.shape.join(", ")}]`,
      fix: "Reshape the operand.",
    });
  }
}
