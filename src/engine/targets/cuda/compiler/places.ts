/** @file Elements of tensors: at which index, under which condition, and where the tensors lie. */
import { invariant } from "../../../../base/errors.ts";
import type { Tensor } from "../../../graph/node.ts";
import type { Shape } from "../../../../base/shape.ts";
import type { BufferView } from "../plan.ts";
import { fixed, plus, times, type Linear } from "./linear.ts";

/** An element of a tensor: its index, and the condition under which it exists; "" for always. */
export interface Place {
  readonly index: readonly Linear[];
  readonly guard: string;
}

/** Where tensors lie. */
export interface Places {
  /** Whether a tensor is read from memory rather than computed. */
  isStored(t: Tensor): boolean;
  view(t: Tensor): BufferView;
  /** Memory that holds fixed whole numbers. */
  integers(values: readonly number[]): BufferView;
  /** Whether a view begins at a multiple of 16 bytes. */
  isAligned(view: BufferView): boolean;
}

/** Places at which a fusion group's own results are not read: it computes them. */
export function apart(places: Places, results: readonly Tensor[]): Places {
  const own = new Set(results);
  return {
    isStored: (t) => !own.has(t) && places.isStored(t),
    view: (t) => places.view(t),
    integers: (values) => places.integers(values),
    isAligned: (view) => places.isAligned(view),
  };
}

/** The place of an operand that broadcasts to a result. */
export function broadcast({ index, guard }: Place, shape: Shape): Place {
  const lead = index.length - shape.length;
  invariant(lead >= 0, "an operand has no more axes than the result it broadcasts to");
  return { index: shape.map((n, axis) => (n === 1 ? fixed(0) : index[lead + axis]!)), guard };
}

/** How many neighbouring elements a thread takes. */
export type Lanes = 1 | 4 | 8;

/** Neighbouring positions from lanes · v on. */
export function lanesFrom(v: Linear, lanes: Lanes): Linear[] {
  return Array.from({ length: lanes }, (_, lane) => plus(times(v, lanes), fixed(lane)));
}
