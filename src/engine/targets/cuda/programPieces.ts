/** @file Where a program's inputs and outputs lie in one block each, and which places a step names. */
import type { BufferView, Step } from "./plan.ts";

const ALIGNMENT = 256;

/** A named piece of a block. */
export interface Piece {
  offset: number;
  bytes: number;
}

/** Places of pieces in one block, the small ones first. */
export function layOut(sizes: readonly (readonly [name: string, bytes: number])[]): Map<string, Piece> {
  const pieces = new Map<string, Piece>();
  let offset = 0;
  for (const [name, bytes] of sizes.toSorted((a, b) => a[1] - b[1])) {
    pieces.set(name, { offset, bytes });
    offset += Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
  }
  return pieces;
}

/** Bytes of the block. */
export function blockBytes(pieces: ReadonlyMap<string, Piece>): number {
  let end = 0;
  for (const { offset, bytes } of pieces.values())
    end = Math.max(end, offset + Math.ceil(bytes / ALIGNMENT) * ALIGNMENT);
  return end;
}

/** The places that a step reads or writes. */
export function viewsOf(step: Step): BufferView[] {
  switch (step.kind) {
    case "kernel":
      return step.arguments.flatMap((argument) => (argument.kind === "buffer" ? [argument.view] : []));
    case "product":
      return [step.a, step.b, step.out, ...(step.bias ? [step.bias] : [])];
    case "copy":
      return [step.from, step.to];
    case "clear":
      return [step.to];
  }
}
