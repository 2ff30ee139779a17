/**
 * @file Where every stored tensor lies, and what has to be copied. Results wanted at a place that still holds
 * something to be read (a state's old value) are written there only if all readers come first; else they are written
 * to scratch memory and copied at the end.
 */
import { invariant } from "../../../../base/errors.ts";
import type { Tensor } from "../../../graph/node.ts";
import { sizeOf, tensorBytes } from "../../../../base/shape.ts";
import type { BufferView, CopyStep, PlanBuffer } from "../plan.ts";
import { partOffsets, sameElements } from "./aliases.ts";
import {
  outputsOf,
  producersOf,
  readsInPlace,
  readsOf,
  storedAs,
  type FusionGroup,
  type FusionGroups,
} from "./fusionGroups.ts";

/** Where leaves lie and results are wanted. */
export interface Ends {
  /** Where leaves lie. */
  readonly bound: ReadonlyMap<Tensor, BufferView>;
  /** Results wanted; a place may be that of a leaf. */
  readonly targets: readonly (readonly [result: Tensor, place: BufferView])[];
}

/** A copy within the order of groups. */
export interface Copy {
  readonly from: Tensor;
  readonly step: CopyStep;
}

/** Places, copies and the order that they call for. */
export interface Storage {
  readonly views: Map<Tensor, BufferView>;
  /** Results that only their own group reads: they need no memory. */
  readonly internal: ReadonlySet<Tensor>;
  /** Parts of a concat that are computed in their place. */
  readonly placed: ReadonlyMap<Tensor, ReadonlySet<number>>;
  /** Of leaves, to be done before what replaces the leaf. */
  readonly copies: readonly Copy[];
  /** Done after all else. */
  readonly lastCopies: readonly CopyStep[];
  /** Fusion groups and copies that come before a group, besides those it reads from. */
  readonly before: Map<FusionGroup, Set<FusionGroup | Copy>>;
}

/** A buffer of scratch memory. */
export function scratch(name: string, bytes: number): BufferView {
  return { buffer: { kind: "scratch", name, bytes }, offsetBytes: 0 };
}

/** Places the results of all groups. */
export function place(
  groups: FusionGroups,
  { bound, targets }: Ends,
  constantView: (t: Tensor) => BufferView,
): Storage {
  const views = new Map<Tensor, BufferView>(bound);
  const copies: Copy[] = [];
  const lastCopies: CopyStep[] = [];
  const before = new Map<FusionGroup, Set<FusionGroup | Copy>>();
  const wanted = new Set<Tensor>();

  const leafOf = new Map<PlanBuffer, Tensor[]>();
  for (const [leaf, { buffer }] of bound) leafOf.set(buffer, [...(leafOf.get(buffer) ?? []), leaf]);
  const replaced = new Set(targets.map(([, { buffer }]) => buffer).filter((buffer) => leafOf.has(buffer)));
  const leafView = (t: Tensor) => views.get(t) ?? constantView(t);
  const isLeaf = (t: Tensor) => !groups.producer.has(t);

  // Copies of leaves first: they are readers of what may be replaced.
  for (const [result, to] of targets) {
    const base = sameElements(result);
    const bytes = tensorBytes(result);
    if (!isLeaf(base) || bytes === 0) continue;
    const from = leafView(base);
    if (from.buffer === to.buffer && from.offsetBytes === to.offsetBytes) continue;
    if (!replaced.has(to.buffer)) {
      copies.push({ from: base, step: { kind: "copy", from, to, bytes } });
    } else if (replaced.has(from.buffer)) {
      const saved = scratch("saved", bytes);
      copies.push({ from: base, step: { kind: "copy", from, to: saved, bytes } });
      lastCopies.push({ kind: "copy", from: saved, to, bytes });
    } else {
      lastCopies.push({ kind: "copy", from, to, bytes });
    }
  }

  for (const [result, to] of targets) {
    const base = sameElements(result);
    const bytes = tensorBytes(result);
    if (isLeaf(base)) continue;
    wanted.add(base);
    const known = views.get(base);
    if (known) {
      lastCopies.push({ kind: "copy", from: known, to, bytes });
      continue;
    }
    const old = leafOf.get(to.buffer);
    if (!old || mayReplace(groups.producer.get(base)!, old, groups, copies, before)) {
      views.set(base, to);
    } else {
      const made = scratch("next", bytes);
      views.set(base, made);
      lastCopies.push({ kind: "copy", from: made, to, bytes });
    }
  }

  const internal = internalResults(groups, wanted);
  const placed = new Map<Tensor, ReadonlySet<number>>();
  for (const group of [...groups.all].toReversed()) {
    for (const t of outputsOf(group)) {
      if (!views.has(t) && !internal.has(t)) views.set(t, scratch(group.node.op, tensorBytes(t)));
    }
    if (group.kind !== "concat") continue;
    // Parts are written early, when what the concat is to replace may still be read.
    const replaces = leafOf.has(views.get(group.results[0]!)!.buffer);
    placed.set(group.results[0]!, replaces ? new Set() : placeParts(group, groups, views, internal));
  }
  return {
    views,
    internal,
    placed,
    copies: copies.filter(({ step }) => step.bytes > 0),
    lastCopies: lastCopies.filter(({ bytes }) => bytes > 0),
    before,
  };
}

/** Whether a group may write over leaves; notes what has to come before it then. */
function mayReplace(
  writer: FusionGroup,
  old: readonly Tensor[],
  groups: FusionGroups,
  copies: readonly Copy[],
  before: Map<FusionGroup, Set<FusionGroup | Copy>>,
): boolean {
  const isOld = (t: Tensor) => old.includes(t);
  const readers = [...groups.all].filter((group) => old.some((t) => group.reads.has(t)));
  if (readers.includes(writer)) {
    if (!replacesInPlace(writer, isOld, groups)) return false;
  }
  const others = readers.filter((group) => group !== writer);
  if (others.some((reader) => comesAfter(reader, writer, groups, before))) return false;
  const first = before.get(writer) ?? new Set();
  others.forEach((reader) => first.add(reader));
  copies.filter(({ from }) => isOld(from)).forEach((copy) => first.add(copy));
  before.set(writer, first);
  return true;
}

/** Whether a group reads each element of what it replaces in the thread that then writes it. */
function replacesInPlace(writer: FusionGroup, isOld: (t: Tensor) => boolean, groups: FusionGroups): boolean {
  if (writer.kind === "reduction") {
    // Elements that are reduced are read by many threads; only what follows on the results may read the old values.
    const reduced = [...writer.node.inputs, ...writer.side.flatMap((t) => t.node.inputs)];
    if ([...readsOf(reduced, groups.isStored)].some(isOld)) return false;
  } else if (writer.kind !== "pointwise") {
    return false;
  }
  return readsInPlace(writer, isOld, groups.isStored);
}

/** Whether a group comes after another in every order. */
function comesAfter(
  group: FusionGroup,
  earlier: FusionGroup,
  groups: FusionGroups,
  before: ReadonlyMap<FusionGroup, ReadonlySet<FusionGroup | Copy>>,
): boolean {
  const seen = new Set<FusionGroup>([group]);
  const stack = [group];
  for (let now = stack.pop(); now; now = stack.pop()) {
    if (now === earlier) return true;
    for (const previous of [...producersOf(now, groups), ...(before.get(now) ?? [])]) {
      if ("step" in previous || seen.has(previous)) continue;
      seen.add(previous);
      stack.push(previous);
    }
  }
  return false;
}

function internalResults({ all }: FusionGroups, wanted: ReadonlySet<Tensor>): Set<Tensor> {
  const read = new Set<Tensor>(wanted);
  for (const group of all) group.reads.forEach((t) => read.add(t));
  const internal = new Set<Tensor>();
  for (const group of all) {
    if (group.kind === "anchor") continue;
    for (const t of outputsOf(group)) if (!read.has(t)) internal.add(t);
  }
  return internal;
}

/** Lets parts of a concat be computed where they belong, if nothing has placed them and each is contiguous. */
function placeParts(
  group: FusionGroup,
  groups: FusionGroups,
  views: Map<Tensor, BufferView>,
  internal: ReadonlySet<Tensor>,
): Set<number> {
  const { node } = group;
  invariant(node.op === "concat", "groups of parts are concats");
  const out = node.outputs[0]!;
  const placed = new Set<number>();
  const offsets = partOffsets(node.inputs, node.attrs.axis, out.shape);
  const whole = views.get(out)!;
  offsets?.forEach((offset, i) => {
    const { tensor: base } = storedAs(node.inputs[i]!, groups.isStored);
    const isWhole = base === sameElements(node.inputs[i]!);
    const fits =
      isWhole &&
      groups.producer.has(base) &&
      !views.has(base) &&
      !internal.has(base) &&
      sizeOf(base.shape) > 0 &&
      (whole.offsetBytes + offset) % 16 === 0;
    if (!fits) return;
    views.set(base, { buffer: whole.buffer, offsetBytes: whole.offsetBytes + offset });
    placed.add(i);
  });
  return placed;
}
