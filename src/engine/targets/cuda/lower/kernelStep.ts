/** @file How rules write down kernel launches: arguments, and the widest access that operands allow. */
import { dtypeBytes, type DType } from "../../../../base/dtype.ts";
import type { Tensor } from "../../../graph/node.ts";
import { formatShape, tensorBytes } from "../../../../base/shape.ts";
import { cuSource } from "../kernels/source.ts";
import type { BufferView, Extent, KernelArgument, KernelStep } from "../plan.ts";
import type { LowerContext } from "./lowering.ts";

/** Threads a block of kernels that give each element a thread. */
const THREADS = 256;

/** An operand that a kernel reads. */
export function reads(context: LowerContext, t: Tensor): KernelArgument {
  return { kind: "buffer", view: context.view(t), access: "read", bytes: tensorBytes(t) };
}

/** A tensor that a kernel writes. */
export function writes(context: LowerContext, t: Tensor): KernelArgument {
  return { kind: "buffer", view: context.view(t), access: "write", bytes: tensorBytes(t) };
}

/** Scratch memory that a kernel reads or writes. */
export function scratchArgument(view: BufferView, access: "read" | "write", bytes: number): KernelArgument {
  return { kind: "buffer", view, access, bytes };
}

/** A whole number argument. */
export const int32 = (value: number): KernelArgument => ({ kind: "int32", value });

/** A whole number argument that may pass 2³¹. */
export const int64 = (value: number): KernelArgument => ({ kind: "int64", value });

/** A number argument. */
export const float32 = (value: number): KernelArgument => ({ kind: "float32", value });

/** A launch of a kernel of `kernels/`. */
export interface Launch {
  /** Without its ending. */
  readonly file: string;
  readonly name?: string;
  readonly defines?: Readonly<Record<string, number | string>>;
  /** The tensor that names the step in profiles. */
  readonly about: Tensor;
  readonly grid: Extent;
  readonly block: Extent;
  readonly sharedBytes?: number;
  readonly arguments: readonly KernelArgument[];
}

/** The step of a launch. */
export function kernelStep(launch: Launch): KernelStep {
  const { file, name = file, defines = {}, about, grid, block, sharedBytes = 0 } = launch;
  return {
    kind: "kernel",
    label: `${name} ${formatShape(about.shape)}`,
    source: cuSource(`${file}.cu`, name, defines),
    grid,
    block,
    sharedBytes,
    arguments: launch.arguments,
  };
}

/** Grid and block of a kernel that gives each of `size` elements a thread. */
export function elementwise(size: number): { grid: Extent; block: Extent } {
  return { grid: [Math.ceil(size / THREADS), 1, 1], block: [THREADS, 1, 1] };
}

/** Most bytes that a thread moves in one access. */
const ACCESS_BYTES = 16;

/** How many elements move in one access: as many, up to 16 bytes, as rows of this width at these places allow. */
export function vectorWidth(width: number, dtype: DType, ...views: BufferView[]): number {
  const bytes = dtypeBytes(dtype);
  const fits = (n: number) => width % n === 0 && views.every((view) => view.offsetBytes % (bytes * n) === 0);
  let n = ACCESS_BYTES / bytes;
  while (n > 1 && !fits(n)) n /= 2;
  return n;
}
