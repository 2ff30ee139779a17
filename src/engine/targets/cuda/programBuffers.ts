/** @file Where a program's inputs and outputs lie in one block each, and which buffers a step touches. */
import type { BufferView, Step } from "./plan.ts";

const ALIGNMENT = 256;

/** Where a named buffer lies in a block. */
export interface BufferRange {
  offset: number;
  bytes: number;
}

/** Lays buffers out in one block, the small ones first. */
export function layOutBuffers(
  sizes: readonly (readonly [name: string, bytes: number])[],
): Map<string, BufferRange> {
  const ranges = new Map<string, BufferRange>();
  let offset = 0;
  for (const [name, bytes] of sizes.toSorted((a, b) => a[1] - b[1])) {
    ranges.set(name, { offset, bytes });
    offset += Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
  }
  return ranges;
}

/** Bytes of the block. */
export function blockBytes(ranges: ReadonlyMap<string, BufferRange>): number {
  let end = 0;
  for (const { offset, bytes } of ranges.values())
    end = Math.max(end, offset + Math.ceil(bytes / ALIGNMENT) * ALIGNMENT);
  return end;
}

/** The views that a step reads or writes. */
export function viewsOf(step: Step): BufferView[] {
  switch (step.kind) {
    case "kernel":
      return step.arguments.flatMap((argument) => (argument.kind === "buffer" ? [argument.view] : []));
    case "matmul":
      return [step.a, step.b, step.out, ...(step.bias ? [step.bias] : [])];
    case "copy":
      return [step.from, step.to];
    case "clear":
      return [step.to];
  }
}
