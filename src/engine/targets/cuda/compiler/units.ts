/**
 * @file Units of work: what is launched together. A unit is an anchor, a reduction with the elementwise work that
 * follows on its results, or tensors of one size computed side by side by one thread an element.
 */
import type { AnyNode, Tensor } from "../../../graph/node.ts";
import { sizeOf } from "../../../shape.ts";
import type { ProductMatch } from "../lower/matchProducts.ts";
import { pieceOf, sameElements } from "./aliases.ts";
import { Evaluator } from "./evaluator.ts";
import { KernelBuilder, Scope } from "./kernelBuilder.ts";
import { variable, type Linear } from "./linear.ts";
import type { LoweredNode } from "./materialize.ts";

/** Results computed by one unit. */
const ROOTS_MAX = 12;

/** Work that is launched together. */
export interface Unit {
  readonly kind: "pointwise" | "concat" | "reduction" | "anchor";
  /** The anchor, the reduction or the concat. */
  readonly node: AnyNode;
  readonly match: ProductMatch | undefined;
  /** Elements of each result of a generated unit. */
  readonly size: number;
  /** Tensors that it computes and others may read, in order; a reduction's own result first. */
  readonly results: Tensor[];
  /** Stored tensors that it reads; not its own results. */
  readonly reads: Set<Tensor>;
}

/** All units, and which of them computes each stored tensor. */
export interface Units {
  readonly units: Set<Unit>;
  readonly producer: Map<Tensor, Unit>;
  /** Whether a tensor is kept in memory, or was given there. */
  isStored(t: Tensor): boolean;
}

/** The stored tensor in which an anchor's operand, or a result wanted, lies. */
export function storedAs(
  t: Tensor,
  isStored: (t: Tensor) => boolean,
): { tensor: Tensor; offsetBytes: number } {
  const base = sameElements(t);
  if (isStored(base)) return { tensor: base, offsetBytes: 0 };
  const piece = pieceOf(base);
  return piece
    ? { tensor: sameElements(piece.whole), offsetBytes: piece.offsetBytes }
    : { tensor: base, offsetBytes: 0 };
}

/** Makes a unit of each node that is written, and merges units that read one another's results in place. */
export function formUnits(
  nodes: readonly LoweredNode[],
  written: ReadonlySet<Tensor>,
  matches: ReadonlyMap<AnyNode, ProductMatch>,
): Units {
  const stored = new Set(written);
  for (const { node, class: kind } of nodes) {
    if (kind !== "fused") node.outputs.forEach((t) => stored.add(t));
  }
  const isStored = (t: Tensor) => stored.has(t);
  const units = new Set<Unit>();
  const producer = new Map<Tensor, Unit>();
  for (const { node, class: kind, inputs } of nodes) {
    const t = node.outputs[0]!;
    if (kind === "leaf" || (kind === "fused" && !written.has(t))) continue;
    const unit: Unit = {
      kind:
        kind === "fused"
          ? node.op === "concat"
            ? "concat"
            : "pointwise"
          : kind === "reduction"
            ? "reduction"
            : "anchor",
      node,
      match: matches.get(node),
      size: sizeOf(t.shape),
      results: [...node.outputs],
      reads:
        kind === "anchor"
          ? new Set(inputs.map((x) => storedAs(x, isStored).tensor))
          : readsOf(node.inputs, isStored),
    };
    units.add(unit);
    node.outputs.forEach((out) => producer.set(out, unit));
  }
  const made: Units = { units, producer, isStored };
  mergeIntoProducers(made);
  mergeSiblings(made);
  return made;
}

/** Stored tensors that the computation of some tensors ends at. */
export function readsOf(tensors: readonly Tensor[], isStored: (t: Tensor) => boolean): Set<Tensor> {
  const reads = new Set<Tensor>();
  const seen = new Set<Tensor>();
  const stack = [...tensors];
  for (let t = stack.pop(); t; t = stack.pop()) {
    if (seen.has(t)) continue;
    seen.add(t);
    if (isStored(t)) reads.add(t);
    else stack.push(...t.node.inputs);
  }
  return reads;
}

/** Units whose results a unit reads. */
export function producersOf(unit: Unit, { producer }: Units): Set<Unit> {
  const found = new Set<Unit>();
  for (const t of unit.reads) {
    const made = producer.get(t);
    if (made && made !== unit) found.add(made);
  }
  return found;
}

/** Whether `unit` needs `earlier`, at any distance. */
function dependsOn(unit: Unit, earlier: Unit, units: Units): boolean {
  const oldest = Math.min(...earlier.results.map((t) => t.node.id));
  const seen = new Set<Unit>([unit]);
  const stack = [unit];
  for (let now = stack.pop(); now; now = stack.pop()) {
    if (now === earlier) return true;
    for (const before of producersOf(now, units)) {
      if (seen.has(before) || Math.max(...before.results.map((t) => t.node.id)) < oldest) continue;
      seen.add(before);
      stack.push(before);
    }
  }
  return false;
}

/** Every element that computing a unit's own results reads, at thread `i`. */
export function loadsOf(unit: Unit, isStored: (t: Tensor) => boolean): { t: Tensor; at: Linear }[] {
  const loads: { t: Tensor; at: Linear }[] = [];
  if (unit.size === 0) return loads;
  const own = new Set(unit.results);
  const nowhere = { buffer: { kind: "scratch", name: "", bytes: 0 }, offsetBytes: 0 } as const;
  const places = {
    isStored: (t: Tensor) => isStored(t) && !own.has(t),
    view: () => nowhere,
    integers: () => nowhere,
    isAligned: () => true,
  };
  const scope = new Scope(new KernelBuilder(), false);
  const evaluator = new Evaluator(places, scope, (t, at) => loads.push({ t, at }));
  const i = variable("i", 0, unit.size - 1);
  const computed = unit.kind === "reduction" ? unit.results.slice(1) : unit.results;
  if (unit.kind === "reduction") evaluator.define(unit.results[0]!, i, "total");
  for (const t of computed) evaluator.at(t, [i]);
  return loads;
}

/** Whether a thread reads no element of some tensors but the one of its own number. */
export function readsInPlace(
  unit: Unit,
  of: (t: Tensor) => boolean,
  isStored: (t: Tensor) => boolean,
): boolean {
  const own = variable("i", 0, unit.size - 1).key;
  return loadsOf(unit, isStored).every(({ t, at }) => !of(t) || at.key === own);
}

/** Lets a pointwise unit compute along with what it reads: results stay in registers. */
function mergeIntoProducers(units: Units): void {
  for (const unit of units.units) {
    if (unit.kind !== "pointwise") continue;
    for (let now: Unit | undefined = unit; now;) now = mergeOnce(now, units);
  }
}

function mergeOnce(unit: Unit, units: Units): Unit | undefined {
  for (const before of producersOf(unit, units)) {
    const fits =
      (before.kind === "pointwise" || (before.kind === "reduction" && unit.kind === "pointwise")) &&
      unit.size > 0 &&
      before.size === unit.size &&
      before.results.length + unit.results.length <= ROOTS_MAX;
    if (!fits) continue;
    const own = new Set(before.results);
    if (!readsInPlace(unit, (t) => own.has(t), units.isStored)) continue;
    const others = [...producersOf(unit, units)].filter((other) => other !== before);
    if (others.some((other) => dependsOn(other, before, units))) continue;
    join(before, unit, units);
    return before.kind === "pointwise" ? before : undefined;
  }
  return undefined;
}

/** Lets independent pointwise units that read the same large tensor read it together. */
function mergeSiblings(units: Units): void {
  const readers = new Map<Tensor, Unit[]>();
  for (const unit of units.units) {
    if (unit.kind !== "pointwise") continue;
    for (const t of unit.reads) {
      if (sizeOf(t.shape) === unit.size) readers.set(t, [...(readers.get(t) ?? []), unit]);
    }
  }
  for (const list of readers.values()) {
    for (let i = 1; i < list.length; i++) {
      const [first, unit] = [list[i - 1]!, list[i]!];
      const fits =
        first !== unit &&
        units.units.has(first) &&
        units.units.has(unit) &&
        first.size === unit.size &&
        first.results.length + unit.results.length <= ROOTS_MAX;
      if (!fits || dependsOn(unit, first, units) || dependsOn(first, unit, units)) continue;
      join(first, unit, units);
      list[i] = first;
    }
  }
}

/** Adds a unit's results to another one. */
function join(into: Unit, unit: Unit, { units, producer }: Units): void {
  for (const t of unit.results) {
    into.results.push(t);
    producer.set(t, into);
  }
  const [first, ...rest] = into.results;
  const ordered = into.kind === "reduction" ? [first!, ...byId(rest)] : byId(into.results);
  into.results.splice(0, into.results.length, ...ordered);
  for (const t of unit.reads) into.reads.add(t);
  for (const t of into.results) into.reads.delete(t);
  units.delete(unit);
}

function byId(tensors: readonly Tensor[]): Tensor[] {
  return tensors.toSorted((a, b) => a.node.id - b.node.id);
}
