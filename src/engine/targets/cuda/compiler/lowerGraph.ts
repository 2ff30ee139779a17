/** @file Lowers a simplified graph to a plan: its steps, its memory, and where inputs and outputs lie. */
import type { Tensor } from "../../../graph/node.ts";
import { rootsOf, stateName, type Graph } from "../../../graph/graph.ts";
import { reachableNodes } from "../../../graph/rewrite.ts";
import type { BufferView, Plan, PlanBuffer } from "../plan.ts";
import { sameElements } from "./aliases.ts";
import { layOutMemory } from "./layout.ts";
import { Constants, lowerNodes, type LowerOptions } from "./lowerNodes.ts";
import { tensorBytes } from "../../../../base/shape.ts";

/**
 * Lowers a graph.
 * @param graph simplified; element types without float64
 * @throws ParetoError `TARGET_UNSUPPORTED` for float64
 */
export function lowerGraph(graph: Graph, options: LowerOptions): Plan {
  const constants = new Constants();
  const bound = new Map<Tensor, BufferView>();
  const named = (kind: PlanBuffer["kind"], name: string, t: Tensor): BufferView => ({
    buffer: { kind, name, bytes: tensorBytes(t) },
    offsetBytes: 0,
  });
  const inputs: Record<string, BufferView> = {};
  for (const [name, t] of Object.entries(graph.inputs))
    bound.set(t, (inputs[name] = named("input", name, t)));
  const states = new Map<string, BufferView>();
  const stateView = (t: Tensor): BufferView => {
    const name = stateName(t);
    const view = states.get(name) ?? named("state", name, t);
    states.set(name, view);
    return view;
  };
  for (const node of reachableNodes(rootsOf(graph))) {
    if (node.op === "state") bound.set(node.outputs[0]!, stateView(node.outputs[0]!));
  }

  const targets: [Tensor, BufferView][] = [];
  const updated = new Set<PlanBuffer>();
  /** Where a tensor that a state becomes can be read after the run. */
  const kept = new Map<Tensor, BufferView>();
  for (const [state, value] of graph.updates) {
    const view = stateView(state);
    targets.push([value, view]);
    updated.add(view.buffer);
    if (!kept.has(sameElements(value))) kept.set(sameElements(value), view);
  }
  const outputs: Record<string, Plan["outputs"][string]> = {};
  for (const [name, t] of Object.entries(graph.outputs)) {
    const base = sameElements(t);
    const leaf = bound.get(base) ?? (base.node.op === "constant" ? constants.view(base) : undefined);
    let view = leaf && !updated.has(leaf.buffer) ? leaf : kept.get(base);
    if (!view) {
      view = named("output", name, t);
      targets.push([t, view]);
      kept.set(base, view);
    }
    outputs[name] = { view, dtype: t.dtype, bytes: tensorBytes(t) };
  }
  const steps = lowerNodes({ bound, targets }, options, constants);
  return { steps, ...layOutMemory(steps), inputs, outputs };
}
