/**
 * @file What a graph becomes for a GPU: a fixed list of steps over numbered buffers. A plan is plain data
 * made without a GPU, so that it can be printed and tested anywhere; the program binds it to memory and replays it.
 *
 * Tensors are row-major and contiguous. Steps run in order; each sees what the steps before it wrote.
 */
import type { DType, TypedArray } from "../../../base/dtype.ts";
import type { Precision } from "../../program.ts";

/** A buffer of device memory that a plan names. Only `scratch` is placed by the plan's memory layout. */
export interface PlanBuffer {
  readonly kind: "input" | "output" | "state" | "constant" | "scratch";
  /** Of an input, an output or a state. */
  readonly name: string;
  readonly bytes: number;
  /** Elements of a constant. */
  readonly data?: TypedArray;
}

/** A place in a buffer. */
export interface BufferView {
  readonly buffer: PlanBuffer;
  readonly offsetBytes: number;
}

/** How a step touches a place. */
export type Access = "read" | "write" | "readWrite";

/** One argument of a kernel, in the order of its parameters. */
export type KernelArgument =
  | { readonly kind: "buffer"; readonly view: BufferView; readonly access: Access; readonly bytes: number }
  | { readonly kind: "int32" | "int64" | "float32"; readonly value: number };

/** CUDA C++ with one `extern "C" __global__` function. */
export interface KernelSource {
  /** Name of the function. */
  readonly name: string;
  readonly code: string;
}

/** Blocks or threads along x, y, z. */
export type Extent = readonly [x: number, y: number, z: number];

/** A kernel launch. */
export interface KernelStep {
  readonly kind: "kernel";
  /** For profiles and printed plans, e.g. `relu+mul [2048, 512]`. */
  readonly label: string;
  readonly source: KernelSource;
  readonly grid: Extent;
  readonly block: Extent;
  /** Dynamic shared memory; above 48 KiB the kernel's limit is raised. */
  readonly sharedBytes: number;
  readonly arguments: readonly KernelArgument[];
}

/** Element types that a matrix product takes. */
export type MatmulDType = "float32" | "float16" | "bfloat16";

/** What a matmul does to its sums before it stores them. `gelu` is the tanh form. */
export type MatmulEpilogue = "none" | "bias" | "relu" | "biasRelu" | "gelu" | "biasGelu";

/** The shape and types of a batched matmul, row-major: out[M, N] = epilogue(op(a)[M, K] · op(b)[K, N] + bias[N]). */
export interface MatmulSpec {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly batch: number;
  /** Elements from a matrix of the batch to the next; 0 repeats one matrix. */
  readonly strideA: number;
  readonly strideB: number;
  readonly strideOut: number;
  /** `a` is stored `[K, M]`. */
  readonly transposeA: boolean;
  /** `b` is stored `[N, K]`. */
  readonly transposeB: boolean;
  /** Type of `a` and `b`. */
  readonly dtype: MatmulDType;
  readonly outDtype: MatmulDType;
  /** Of float32 operands; sums are float32 always. */
  readonly compute: Precision;
  readonly epilogue: MatmulEpilogue;
}

/** A matrix product by cuBLASLt. */
export interface MatmulStep {
  readonly kind: "matmul";
  readonly label: string;
  readonly spec: MatmulSpec;
  readonly a: BufferView;
  readonly b: BufferView;
  /** `[N]`, in `outDtype`. */
  readonly bias?: BufferView;
  readonly out: BufferView;
}

/** A copy within device memory. */
export interface CopyStep {
  readonly kind: "copy";
  readonly from: BufferView;
  readonly to: BufferView;
  readonly bytes: number;
}

/** Zeroes memory. */
export interface ClearStep {
  readonly kind: "clear";
  readonly to: BufferView;
  readonly bytes: number;
}

/** One thing that the GPU does. */
export type Step = KernelStep | MatmulStep | CopyStep | ClearStep;

/** A lowered graph. */
export interface Plan {
  readonly steps: readonly Step[];
  /** Where each scratch buffer lies in the program's arena. */
  readonly offsets: ReadonlyMap<PlanBuffer, number>;
  readonly arenaBytes: number;
  /** Inputs, outputs and states by name; outputs may share the buffer of a state or an input. */
  readonly inputs: Readonly<Record<string, BufferView>>;
  readonly outputs: Readonly<Record<string, { view: BufferView; dtype: DType; bytes: number }>>;
}
