/**
 * @file Fusion groups: what one kernel computes. A group is an anchor (an op with a rule or a matmul), a reduction with the elementwise work that
 * follows on its results, or tensors of one size computed side by side by one thread an element.
 */
import type { AnyNode, Tensor } from "../../../graph/node.ts";
import { sizeOf } from "../../../../base/shape.ts";
import type { MatmulMatch } from "../lower/matchMatmuls.ts";
import { alignedSliceOf, sameElements } from "./aliases.ts";
import { Evaluator } from "./evaluator.ts";
import { KernelBuilder, Scope } from "./kernelBuilder.ts";
import { variable, type Linear } from "./linear.ts";
import type { LoweredNode } from "./materialize.ts";

/** Results computed by one group. */
const ROOTS_MAX = 12;

/** Work that one kernel, or one rule, computes. */
export interface FusionGroup {
  readonly kind: "pointwise" | "concat" | "reduction" | "anchor";
  /** The anchor, the reduction or the concat. */
  readonly node: AnyNode;
  readonly match: MatmulMatch | undefined;
  /** Elements of each result of a generated group. */
  readonly size: number;
  /** Tensors that it computes and others may read, in order; a reduction's own result first. */
  readonly results: Tensor[];
  /** Of a reduction: tensors of its operand's size, computed and written while they are reduced. */
  readonly side: Tensor[];
  /** Stored tensors that it reads; not its own results. */
  readonly reads: Set<Tensor>;
}

/** All groups, and which of them computes each stored tensor. */
export interface FusionGroups {
  readonly all: Set<FusionGroup>;
  readonly producer: Map<Tensor, FusionGroup>;
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
  const slice = alignedSliceOf(base);
  return slice
    ? { tensor: sameElements(slice.whole), offsetBytes: slice.offsetBytes }
    : { tensor: base, offsetBytes: 0 };
}

/** Makes a group of each node that is written, and merges groups that read one another's results in place. */
export function formFusionGroups(
  nodes: readonly LoweredNode[],
  written: ReadonlySet<Tensor>,
  matches: ReadonlyMap<AnyNode, MatmulMatch>,
  wanted: readonly Tensor[],
): FusionGroups {
  const stored = new Set(written);
  for (const { node, class: kind } of nodes) {
    if (kind !== "fused") node.outputs.forEach((t) => stored.add(t));
  }
  const isStored = (t: Tensor) => stored.has(t);
  const all = new Set<FusionGroup>();
  const producer = new Map<Tensor, FusionGroup>();
  for (const { node, class: kind, inputs } of nodes) {
    const t = node.outputs[0]!;
    if (kind === "leaf" || (kind === "fused" && !written.has(t))) continue;
    const group: FusionGroup = {
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
    all.add(group);
    node.outputs.forEach((out) => producer.set(out, group));
  }
  const made: FusionGroups = { all, producer, isStored };
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

/** All tensors that a group computes. */
export function outputsOf(group: FusionGroup): Tensor[] {
  return [...group.results, ...group.side];
}

/** Fusion groups whose results a group reads. */
export function producersOf(group: FusionGroup, { producer }: FusionGroups): Set<FusionGroup> {
  const found = new Set<FusionGroup>();
  for (const t of group.reads) {
    const made = producer.get(t);
    if (made && made !== group) found.add(made);
  }
  return found;
}

/** Whether `group` needs `earlier`, at any distance. */
function dependsOn(group: FusionGroup, earlier: FusionGroup, groups: FusionGroups): boolean {
  const oldest = Math.min(...outputsOf(earlier).map((t) => t.node.id));
  const seen = new Set<FusionGroup>([group]);
  const stack = [group];
  for (let now = stack.pop(); now; now = stack.pop()) {
    if (now === earlier) return true;
    for (const before of producersOf(now, groups)) {
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

/** Every element that computing a group's results reads at thread `i`; of a reduction, what follows on its result. */
function loadsOf(group: FusionGroup, isStored: (t: Tensor) => boolean): Load[] {
  if (group.size === 0) return [];
  const i = variable("i", 0, group.size - 1);
  return trialLoads(new Set(group.results), isStored, (evaluator) => {
    const isReduction = group.kind === "reduction";
    if (isReduction) evaluator.define(group.results[0]!, i, "total");
    for (const t of group.results.slice(isReduction ? 1 : 0)) evaluator.at(t, [i]);
  });
}

/** Whether a thread reads no element of some tensors but the one of its own number. */
export function readsInPlace(
  group: FusionGroup,
  of: (t: Tensor) => boolean,
  isStored: (t: Tensor) => boolean,
): boolean {
  const own = variable("i", 0, group.size - 1).key;
  return loadsOf(group, isStored).every(({ t, at }) => !of(t) || at.key === own);
}

/** Lets a pointwise group compute along with what it reads: results stay in registers. */
function mergeIntoProducers(groups: FusionGroups): void {
  for (const group of groups.all) {
    if (group.kind !== "pointwise") continue;
    for (let now: FusionGroup | undefined = group; now;) now = mergeOnce(now, groups);
  }
}

function mergeOnce(group: FusionGroup, groups: FusionGroups): FusionGroup | undefined {
  for (const before of producersOf(group, groups)) {
    const fits =
      (before.kind === "pointwise" || (before.kind === "reduction" && group.kind === "pointwise")) &&
      group.size > 0 &&
      before.size === group.size &&
      before.results.length + group.results.length <= ROOTS_MAX;
    if (!fits) continue;
    const own = new Set(before.results);
    if (!readsInPlace(group, (t) => own.has(t), groups.isStored)) continue;
    const others = [...producersOf(group, groups)].filter((other) => other !== before);
    if (others.some((other) => dependsOn(other, before, groups))) continue;
    join(before, group, groups);
    return before.kind === "pointwise" ? before : undefined;
  }
  return undefined;
}

/** Lets independent pointwise groups that read the same large tensor read it together. */
function mergeSiblings(groups: FusionGroups): void {
  const readers = new Map<Tensor, FusionGroup[]>();
  for (const group of groups.all) {
    if (group.kind !== "pointwise") continue;
    for (const t of group.reads) {
      if (sizeOf(t.shape) === group.size) readers.set(t, [...(readers.get(t) ?? []), group]);
    }
  }
  for (const list of readers.values()) {
    for (let i = 1; i < list.length; i++) {
      const [first, group] = [list[i - 1]!, list[i]!];
      const fits =
        first !== group &&
        groups.all.has(first) &&
        groups.all.has(group) &&
        first.size === group.size &&
        first.results.length + group.results.length <= ROOTS_MAX;
      if (!fits || dependsOn(group, first, groups) || dependsOn(first, group, groups)) continue;
      join(first, group, groups);
      list[i] = first;
    }
  }
}

/** Lets a reduction compute and write what it reads, if it reads it element by element. */
function mergeIntoReductions(groups: FusionGroups, wanted: ReadonlySet<Tensor>): void {
  for (const group of groups.all) {
    if (group.kind !== "reduction") continue;
    const x = group.node.inputs[0]!;
    for (const before of producersOf(group, groups)) {
      const fits =
        before.kind === "pointwise" &&
        before.size > 0 &&
        before.size === sizeOf(x.shape) &&
        group.side.length + before.results.length <= ROOTS_MAX &&
        !before.results.some((t) => wanted.has(t));
      if (!fits || !readsForReduction(group, new Set(before.results), groups)) continue;
      const others = [...producersOf(group, groups)].filter((other) => other !== before);
      if (others.some((other) => dependsOn(other, before, groups))) continue;
      group.side.push(...before.results);
      group.side.splice(0, group.side.length, ...byId(group.side));
      for (const t of before.results) groups.producer.set(t, group);
      for (const t of before.reads) group.reads.add(t);
      for (const t of outputsOf(group)) group.reads.delete(t);
      groups.all.delete(before);
    }
  }
}

/** Whether a reduction reads tensors only as what it reduces, each element where it is reduced. */
function readsForReduction(group: FusionGroup, of: ReadonlySet<Tensor>, { isStored }: FusionGroups): boolean {
  if (loadsOf(group, isStored).some(({ t }) => of.has(t))) return false;
  const x = group.node.inputs[0]!;
  const i = variable("i", 0, sizeOf(x.shape) - 1);
  const loads = trialLoads(new Set(), isStored, (evaluator) => evaluator.at(x, [i]));
  return loads.every(({ t, at }) => !of.has(t) || at.key === i.key);
}

/** Adds a group's results to another one. */
function join(into: FusionGroup, group: FusionGroup, { all, producer }: FusionGroups): void {
  for (const t of group.results) {
    into.results.push(t);
    producer.set(t, into);
  }
  const [first, ...rest] = into.results;
  const ordered = into.kind === "reduction" ? [first!, ...byId(rest)] : byId(into.results);
  into.results.splice(0, into.results.length, ...ordered);
  for (const t of group.reads) into.reads.add(t);
  for (const t of into.results) into.reads.delete(t);
  all.delete(group);
}

function byId(tensors: readonly Tensor[]): Tensor[] {
  return tensors.toSorted((a, b) => a.node.id - b.node.id);
}
