/**
 * @file Units of work: what is launched together. A unit is an anchor, a reduction with the elementwise work that
 * follows on its results, or tensors of one size computed side by side by one thread an element.
 */
import type { AnyNode, Tensor } from "../../../graph/node.ts";
import { sizeOf } from "../../../../base/shape.ts";
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
  /** Of a reduction: tensors of its operand's size, computed and written while they are reduced. */
  readonly side: Tensor[];
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
  wanted: readonly Tensor[],
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
      side: [],
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
  mergeIntoReductions(made, new Set(wanted.map(sameElements)));
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

/** All tensors that a unit computes. */
export function outputsOf(unit: Unit): Tensor[] {
  return [...unit.results, ...unit.side];
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
  const oldest = Math.min(...outputsOf(earlier).map((t) => t.node.id));
  const seen = new Set<Unit>([unit]);
  const stack = [unit];
  for (let now = stack.pop(); now; now = stack.pop()) {
    if (now === earlier) return true;
    for (const before of producersOf(now, units)) {
      if (seen.has(before) || Math.max(...outputsOf(before).map((t) => t.node.id)) < oldest) continue;
      seen.add(before);
      stack.push(before);
    }
  }
  return false;
}

/** An element that a thread reads. */
interface Load {
  readonly t: Tensor;
  readonly at: Linear;
}

/** What code for one element reads from memory; `own` tensors are computed, not read. */
function trialLoads(
  own: ReadonlySet<Tensor>,
  isStored: (t: Tensor) => boolean,
  compute: (evaluator: Evaluator) => void,
): Load[] {
  const loads: Load[] = [];
  const nowhere = { buffer: { kind: "scratch", name: "", bytes: 0 }, offsetBytes: 0 } as const;
  const places = {
    isStored: (t: Tensor) => isStored(t) && !own.has(t),
    view: () => nowhere,
    integers: () => nowhere,
    isAligned: () => true,
  };
  const scope = new Scope(new KernelBuilder(), false);
  compute(new Evaluator(places, scope, (t, at) => loads.push({ t, at })));
  return loads;
}

/** Every element that computing a unit's results reads at thread `i`; of a reduction, what follows on its result. */
function loadsOf(unit: Unit, isStored: (t: Tensor) => boolean): Load[] {
  if (unit.size === 0) return [];
  const i = variable("i", 0, unit.size - 1);
  return trialLoads(new Set(unit.results), isStored, (evaluator) => {
    const isReduction = unit.kind === "reduction";
    if (isReduction) evaluator.define(unit.results[0]!, i, "total");
    for (const t of unit.results.slice(isReduction ? 1 : 0)) evaluator.at(t, [i]);
  });
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

/** Lets a reduction compute and write what it reads, if it reads it element by element. */
function mergeIntoReductions(units: Units, wanted: ReadonlySet<Tensor>): void {
  for (const unit of units.units) {
    if (unit.kind !== "reduction") continue;
    const x = unit.node.inputs[0]!;
    for (const before of producersOf(unit, units)) {
      const fits =
        before.kind === "pointwise" &&
        before.size > 0 &&
        before.size === sizeOf(x.shape) &&
        unit.side.length + before.results.length <= ROOTS_MAX &&
        !before.results.some((t) => wanted.has(t));
      if (!fits || !readsForReduction(unit, new Set(before.results), units)) continue;
      const others = [...producersOf(unit, units)].filter((other) => other !== before);
      if (others.some((other) => dependsOn(other, before, units))) continue;
      unit.side.push(...before.results);
      unit.side.splice(0, unit.side.length, ...byId(unit.side));
      for (const t of before.results) units.producer.set(t, unit);
      for (const t of before.reads) unit.reads.add(t);
      for (const t of outputsOf(unit)) unit.reads.delete(t);
      units.units.delete(before);
    }
  }
}

/** Whether a reduction reads tensors only as what it reduces, each element where it is reduced. */
function readsForReduction(unit: Unit, of: ReadonlySet<Tensor>, { isStored }: Units): boolean {
  if (loadsOf(unit, isStored).some(({ t }) => of.has(t))) return false;
  const x = unit.node.inputs[0]!;
  const i = variable("i", 0, sizeOf(x.shape) - 1);
  const loads = trialLoads(new Set(), isStored, (evaluator) => evaluator.at(x, [i]));
  return loads.every(({ t, at }) => !of.has(t) || at.key === i.key);
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
