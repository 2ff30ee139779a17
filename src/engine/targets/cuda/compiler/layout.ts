/**
 * @file Places scratch buffers in one arena. A buffer is alive from the first step that touches it to the last; buffers
 * that are not alive together may overlap. The largest are placed first, each in the tightest gap that it fits.
 */
import type { BufferView, PlanBuffer, Step } from "../plan.ts";

/** Where each buffer begins, in bytes. */
const ALIGNMENT = 256;

/** Places of buffers and the size of the arena. */
export interface Layout {
  readonly offsets: ReadonlyMap<PlanBuffer, number>;
  readonly arenaBytes: number;
}

interface Interval {
  readonly buffer: PlanBuffer;
  readonly bytes: number;
  readonly first: number;
  last: number;
}

/** Views that a step touches. */
function viewsOf(step: Step): BufferView[] {
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

/** Lays out the scratch buffers of some steps. */
export function layOutMemory(steps: readonly Step[]): Layout {
  const intervals = new Map<PlanBuffer, Interval>();
  steps.forEach((step, at) => {
    for (const { buffer } of viewsOf(step)) {
      if (buffer.kind !== "scratch") continue;
      const known = intervals.get(buffer);
      const bytes = Math.ceil(buffer.bytes / ALIGNMENT) * ALIGNMENT;
      if (known) known.last = at;
      else intervals.set(buffer, { buffer, bytes, first: at, last: at });
    }
  });
  const offsets = new Map<PlanBuffer, number>();
  const placed: (Interval & { readonly offset: number })[] = [];
  let arenaBytes = 0;
  for (const interval of [...intervals.values()].sort((a, b) => b.bytes - a.bytes)) {
    const alive = placed.filter(({ first, last }) => first <= interval.last && interval.first <= last);
    const offset = tightestGap(alive, interval.bytes);
    // Kept in order of offsets, so that gaps are found in one pass.
    const at = placed.findIndex((other) => other.offset > offset);
    placed.splice(at < 0 ? placed.length : at, 0, { ...interval, offset });
    offsets.set(interval.buffer, offset);
    arenaBytes = Math.max(arenaBytes, offset + interval.bytes);
  }
  return { offsets, arenaBytes };
}

/** Where a buffer fits between others, which come in order of their offsets. */
function tightestGap(alive: readonly { offset: number; bytes: number }[], bytes: number): number {
  let best: { offset: number; room: number } | undefined;
  let end = 0;
  for (const other of alive) {
    const room = other.offset - end;
    if (room >= bytes && (!best || room < best.room)) best = { offset: end, room };
    end = Math.max(end, other.offset + other.bytes);
  }
  return best ? best.offset : end;
}
