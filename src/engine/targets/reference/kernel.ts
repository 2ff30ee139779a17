/**
 * @file What a reference kernel is: a function that fills an op's outputs from its inputs.
 *
 * Arrays are row-major and hold numbers, never bit patterns: those of 16-bit floats are Float64Arrays whose elements
 * the interpreter rounds behind every kernel. Outputs arrive zero-filled. Kernels compute in JavaScript numbers
 * (float64) and round once, when they store; int32 wraps around as two's complement.
 */
import type { TypedArray } from "../../../base/dtype.ts";
import type { Node, Tensor } from "../../graph/node.ts";
import type { OpName, PrimitiveName } from "../../graph/opAttrs.ts";

/** The elements of a leaf: an input, a state or a parameter of a scan's body. */
export type LeafValues = (leaf: Tensor) => TypedArray;

/** Computes fixed tensors from the values of their leaves, as often as wanted. */
export type Interpreter = (leafValues: LeafValues) => TypedArray[];

/** One application of an op. */
interface KernelCall<K extends OpName> {
  readonly node: Node<K>;
  readonly inputs: readonly TypedArray[];
  /** Zero-filled, one for each output of the node. */
  readonly outputs: readonly TypedArray[];
  readonly leafValues: LeafValues;
  /** Prepares a sub-graph. */
  readonly interpreter: (results: readonly Tensor[]) => Interpreter;
}

/** Fills the outputs of a call. */
export type Kernel<K extends OpName> = (call: KernelCall<K>) => void;

/** Kernels of some ops, by name. */
export type KernelTable<K extends OpName = PrimitiveName> = { readonly [Name in K]: Kernel<Name> };
