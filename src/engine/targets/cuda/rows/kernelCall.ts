/**
 * @file One launch of a row kernel, before it is known whether it becomes a step of a plan (places are views of its
 * buffers) or is launched at once (places are addresses).
 */
import type { Access, Extent, KernelSource } from "../plan.ts";

/** An argument; `P` is what stands for a place in device memory: a view of a buffer, or an address. */
export type CallArgument<P> =
  | { readonly kind: "buffer"; readonly place: P; readonly access: Access; readonly bytes: number }
  | { readonly kind: "int32" | "float32"; readonly value: number };

/** A launch without dynamic shared memory. */
export interface KernelCall<P> {
  readonly label: string;
  readonly source: KernelSource;
  readonly grid: Extent;
  readonly block: Extent;
  readonly arguments: readonly CallArgument<P>[];
}

/** Threads of a block of every row kernel. */
export const CALL_THREADS = 256;

/** Arguments by kind. */
export const argument = {
  read: <P>(place: P, bytes: number): CallArgument<P> => ({ kind: "buffer", place, access: "read", bytes }),
  write: <P>(place: P, bytes: number): CallArgument<P> => ({ kind: "buffer", place, access: "write", bytes }),
  update: <P>(place: P, bytes: number): CallArgument<P> => ({
    kind: "buffer",
    place,
    access: "readWrite",
    bytes,
  }),
  int32: (value: number) => ({ kind: "int32", value }) as const,
  float32: (value: number) => ({ kind: "float32", value }) as const,
};
