/**
 * @file Lowers a graph, or the body of a loop, to steps: chooses what is written to memory, forms fusion groups, places their
 * results, orders them, and generates code or calls rules.
 */
import { invariant } from "../../../../base/errors.ts";
import type { Node, Tensor } from "../../../graph/node.ts";
import type { OpName } from "../../../graph/opAttrs.ts";
import { reachableNodes } from "../../../graph/rewrite.ts";
import type { Precision } from "../../../program.ts";
import { formatShape, tensorBytes } from "../../../../base/shape.ts";
import type { LowerContext, LowerRule } from "../lower/lowering.ts";
import { matchMatmuls } from "../lower/matchMatmuls.ts";
import { lowerMatmul } from "../lower/matmul.ts";
import type { BufferView, PlanBuffer, Step } from "../plan.ts";
import { KernelBuilder } from "./kernelBuilder.ts";
import { classify, isOuterProduct, materialize, type LoweredNode } from "./materialize.ts";
import { type Places } from "./places.ts";
import { addConcat, addPointwise, isWide, writeResults } from "./pointwise.ts";
import { addReduction, partDtype, partsSource, sourceOf, storeParts, storeResults } from "./reduction.ts";
import { planParts, planReduction } from "./reductionPlan.ts";
import { schedule, type Job } from "./schedule.ts";
import { place, scratch, type Copy, type Ends, type Storage } from "./storage.ts";
import {
  formFusionGroups,
  outputsOf,
  producersOf,
  storedAs,
  type FusionGroup,
  type FusionGroups,
} from "./fusionGroups.ts";
import { dtypeBytes } from "../../../../base/dtype.ts";

/** Rules of the ops that are not compiled to generated code; matmuls have their own. */
export type RuleTable = { readonly [K in OpName]?: LowerRule<K> };

/** What a graph is lowered for. */
export interface LowerOptions {
  readonly multiprocessors: number;
  readonly maxSharedBytes: number;
  readonly compute: Precision;
  /** `sm_80` unless given. */
  readonly arch?: string;
  readonly rules: RuleTable;
}

/** Fixed arrays that steps read, each kept once. */
export class Constants {
  readonly #tensors = new Map<Tensor, BufferView>();
  readonly #integers = new Map<string, BufferView>();

  /** Where the elements of a constant tensor lie. */
  view(t: Tensor): BufferView {
    let view = this.#tensors.get(t);
    if (!view) {
      const { data } = (t.node as unknown as Node<"constant">).attrs;
      view = { buffer: { kind: "constant", name: "constant", bytes: data.byteLength, data }, offsetBytes: 0 };
      this.#tensors.set(t, view);
    }
    return view;
  }

  /** Where a list of int32 lies; equal lists are one. */
  integers(values: readonly number[]): BufferView {
    const key = values.join();
    let view = this.#integers.get(key);
    if (!view) {
      const data = Int32Array.from(values);
      view = { buffer: { kind: "constant", name: "indices", bytes: data.byteLength, data }, offsetBytes: 0 };
      this.#integers.set(key, view);
    }
    return view;
  }
}

interface GroupJob extends Job {
  /** Adds generated code to a launch. */
  readonly generate?: (kernel: KernelBuilder) => void;
  /** Emits steps. */
  readonly emit?: () => void;
  readonly ops: readonly string[];
  readonly shape: string;
}

/**
 * Lowers tensors to steps.
 * @param ends where leaves lie, and the results wanted with their places. A place may be that of a leaf (a state's next
 * value): it is then written after the last read of the old one
 */
export function lowerNodes(ends: Ends, options: LowerOptions, constants: Constants): Step[] {
  const roots = ends.targets.map(([t]) => t);
  const reachable = reachableNodes(roots);
  const matches = new Map(matchMatmuls(reachable, roots));
  for (const [node, match] of matches)
    if (isOuterProduct(node) && match.absorbed.length === 0) matches.delete(node);
  const absorbed = new Set([...matches.values()].flatMap((match) => match.absorbed));
  const nodes: LoweredNode[] = [];
  for (const node of reachable) {
    if (absorbed.has(node)) continue;
    const match = matches.get(node);
    nodes.push({
      node,
      class: match ? "anchor" : node.outputs.some((t) => ends.bound.has(t)) ? "leaf" : classify(node),
      inputs: match ? match.operands : node.inputs,
    });
  }
  const written = materialize(nodes, roots);
  const groups = formFusionGroups(nodes, written, matches, roots);
  const storage = place(groups, ends, (t) => constants.view(t));
  return new Emitter(groups, storage, options, constants).emit();
}

/** Turns placed groups into steps. */
class Emitter {
  readonly #groups: FusionGroups;
  readonly #storage: Storage;
  readonly #options: LowerOptions;
  readonly #constants: Constants;
  readonly #places: Places;
  readonly #steps: Step[] = [];

  constructor(groups: FusionGroups, storage: Storage, options: LowerOptions, constants: Constants) {
    this.#groups = groups;
    this.#storage = storage;
    this.#options = options;
    this.#constants = constants;
    this.#places = {
      isStored: groups.isStored,
      view: (t) => this.#view(t),
      integers: (values) => constants.integers(values),
      isAligned,
    };
  }

  emit(): Step[] {
    for (const launch of schedule(this.#jobs())) {
      const generated = launch.filter((job) => job.generate);
      for (const job of launch) job.emit?.();
      if (generated.length > 0) this.#launch(generated);
    }
    this.#steps.push(...this.#storage.lastCopies);
    return this.#steps;
  }

  #launch(jobs: readonly GroupJob[]): void {
    const kernel = new KernelBuilder();
    for (const job of jobs) job.generate!(kernel);
    if (kernel.isEmpty) return;
    const names = [...new Set(jobs.flatMap(({ ops }) => ops))];
    const name = names.slice(0, 4).join("_") + (names.length > 4 ? "_etc" : "");
    const label = `${summary(names)} ${[...new Set(jobs.map(({ shape }) => shape))].slice(0, 3).join(" ")}${jobs.length > 1 ? ` in ${jobs.length} sections` : ""}`;
    this.#steps.push(kernel.step(`fused_${name}`, label));
  }

  #view(t: Tensor): BufferView {
    const { tensor, offsetBytes } = storedAs(t, this.#groups.isStored);
    const view =
      this.#storage.views.get(tensor) ??
      (tensor.node.op === "constant" ? this.#constants.view(tensor) : undefined);
    invariant(view, `a place for ${tensor.node.op} ${formatShape(tensor.shape)}`);
    return offsetBytes === 0 ? view : { buffer: view.buffer, offsetBytes: view.offsetBytes + offsetBytes };
  }

  #jobs(): GroupJob[] {
    const jobsOf = new Map<FusionGroup | Copy, GroupJob[]>();
    for (const copy of this.#storage.copies) {
      jobsOf.set(copy, [
        {
          order: -1,
          after: new Set(),
          isGenerated: false,
          elements: 0,
          parameters: 2,
          heldBytes: 0,
          emit: () => this.#steps.push(copy.step),
          ops: ["copy"],
          shape: "",
        },
      ]);
    }
    for (const group of this.#groups.all) jobsOf.set(group, this.#jobsOf(group));
    for (const group of this.#groups.all) {
      const own = jobsOf.get(group)!;
      const follow = (jobs: readonly GroupJob[]) => {
        for (const job of jobs) own.forEach((later) => later.after.add(job));
      };
      for (const earlier of producersOf(group, this.#groups)) {
        // What is written while it is reduced is there before the parts are added up.
        const needsResults = earlier.results.some((t) => group.reads.has(t));
        follow(needsResults ? jobsOf.get(earlier)! : [jobsOf.get(earlier)![0]!]);
      }
      for (const earlier of this.#storage.before.get(group) ?? []) follow(jobsOf.get(earlier)!);
      if (own.length === 2) own[1]!.after.add(own[0]!);
    }
    return [...jobsOf.values()].flat();
  }

  #jobsOf(group: FusionGroup): GroupJob[] {
    const isKept = (t: Tensor) => !this.#storage.internal.has(t);
    const reads = [...group.reads];
    const wide = isWide([...reads, ...outputsOf(group)]);
    const base = {
      order: Math.min(...outputsOf(group).map((t) => t.node.id)),
      isGenerated: true,
      elements: Math.max(group.size, ...reads.map((t) => tensorBytes(t) / dtypeBytes(t.dtype))),
      parameters: reads.length + outputsOf(group).length + 1,
      heldBytes: reads
        .filter((t) => this.#storage.views.get(t)?.buffer.kind === "scratch")
        .reduce((sum, t) => sum + tensorBytes(t), 0),
      ops: this.#opsOf(group),
      shape: formatShape(group.node.outputs[0]!.shape),
    };
    const made = (rest: Partial<GroupJob>): GroupJob => ({ ...base, after: new Set(), ...rest });
    switch (group.kind) {
      case "anchor":
        return [made({ isGenerated: false, emit: () => this.#anchor(group) })];
      case "pointwise":
        return [
          made({ generate: (kernel) => addPointwise(kernel, group.results, isKept, this.#places, wide) }),
        ];
      case "concat": {
        const node = group.node as unknown as Node<"concat">;
        const placed = this.#storage.placed.get(group.results[0]!)!;
        return [
          made({
            generate: (kernel) => addConcat(kernel, node, (part) => placed.has(part), this.#places, wide),
          }),
        ];
      }
      case "reduction": {
        const node = group.node as unknown as Node<"sum" | "max">;
        const plan = planReduction(node, this.#options.multiprocessors);
        const around = { places: this.#places, results: outputsOf(group), wide: wide || isWide(node.inputs) };
        const source = sourceOf(node, (evaluator, positions) =>
          writeResults(evaluator, group.side, isKept, this.#places, positions),
        );
        const finish = storeResults(group.results, isKept, this.#places);
        if (plan.parts === 1) {
          return [made({ generate: (kernel) => addReduction(kernel, source, plan, finish, around) })];
        }
        const { dtype } = node.inputs[0]!;
        const parts = scratch("parts", plan.parts * plan.kept * dtypeBytes(partDtype(dtype)));
        const second = planParts(plan, this.#options.multiprocessors);
        return [
          made({
            generate: (kernel) => addReduction(kernel, source, plan, storeParts(dtype, plan, parts), around),
          }),
          made({
            elements: plan.parts * plan.kept,
            heldBytes: parts.buffer.bytes,
            generate: (kernel) =>
              addReduction(kernel, partsSource(node, plan, parts), second, finish, around),
          }),
        ];
      }
    }
  }

  /** Names of the ops that a group computes, without those that only move. */
  #opsOf(group: FusionGroup): string[] {
    const names = new Set<string>();
    const seen = new Set<Tensor>();
    const own = new Set(outputsOf(group));
    const visit = (t: Tensor): void => {
      if (seen.has(t) || (this.#groups.isStored(t) && !own.has(t))) return;
      seen.add(t);
      t.node.inputs.forEach(visit);
      names.add(t.node.op);
    };
    outputsOf(group).forEach(visit);
    for (const name of ["constant", "broadcastTo", "reshape"]) if (names.size > 1) names.delete(name);
    return [...names];
  }

  #anchor(group: FusionGroup): void {
    const context = this.#context();
    if (group.match) {
      lowerMatmul(group.match, group.results[0]!, context);
      return;
    }
    const rule = this.#options.rules[group.node.op] as LowerRule<OpName> | undefined;
    invariant(rule, `a rule for ${group.node.op}`);
    rule(group.node as unknown as Node, context);
  }

  #context(): LowerContext {
    const { multiprocessors, maxSharedBytes, compute, arch = "sm_80" } = this.#options;
    return {
      multiprocessors,
      maxSharedBytes,
      compute,
      arch,
      view: (t) => this.#view(t),
      scratch: (bytes) => scratch("workspace", bytes),
      emit: (step) => this.#steps.push(step),
      lowerBody: (results, bound, targets) =>
        lowerNodes(
          { bound, targets: results.map((t, i) => [t, targets[i]!] as const) },
          this.#options,
          this.#constants,
        ),
    };
  }
}

/** A placeholder of a loop's body may stand for any slice of a tensor, one after the other in memory. */
function isAligned({ buffer, offsetBytes }: BufferView): boolean {
  return offsetBytes % 16 === 0 && (buffer.bytes % 16 === 0 || !isPlaceholder(buffer));
}

function isPlaceholder({ kind, name }: PlanBuffer): boolean {
  return kind === "scratch" && (name === "parameter" || name === "result");
}

function summary(ops: readonly string[]): string {
  return ops.length > 6 ? `${ops.slice(0, 6).join("+")}+…` : ops.join("+");
}
