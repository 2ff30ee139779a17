/**
 * @file A traced graph: what a model function becomes, and what targets compile.
 *
 * `trace` calls the function once on symbolic inputs. Its result names the outputs of a run and the states that a
 * run replaces; everything else that is reachable follows from those.
 */
import { ParetoError } from "../../base/errors.ts";
import { formatShape, sameShape } from "../../base/shape.ts";
import type { Node, Tensor, TensorSpec } from "./node.ts";
import { input } from "./ops/leaf.ts";
import { reachableNodes } from "./rewrite.ts";

/** A state and the tensor that replaces it at the end of a run. */
export type StateUpdate = readonly [state: Tensor, value: Tensor];

/** What a model function returns. */
export interface Traced {
  /** Tensors read back after a run, by name. */
  outputs: Record<string, Tensor>;
  /** All are applied together after every output has been computed. */
  updates?: readonly StateUpdate[];
}

/** A model as a static graph. */
export interface Graph {
  readonly inputs: Readonly<Record<string, Tensor>>;
  readonly outputs: Readonly<Record<string, Tensor>>;
  readonly updates: readonly StateUpdate[];
  /** States read or updated, each once. */
  readonly states: readonly Tensor[];
}

/** The name of a state tensor. */
export function stateName(t: Tensor): string {
  return (t.node as unknown as Node<"state">).attrs.name;
}

/** All tensors that a run must compute. */
export function rootsOf(graph: Pick<Graph, "outputs" | "updates">): Tensor[] {
  return [...Object.values(graph.outputs), ...graph.updates.map(([, value]) => value)];
}

/**
 * Traces a model function into a graph.
 * @param inputs the spec of every input, by name
 * @param model called once with symbolic tensors
 * @throws ParetoError `TRACE_STATE` when two states share a name but not a spec, or an update does not fit its state
 */
export function trace<Names extends string>(
  inputs: Record<Names, TensorSpec>,
  model: (tensors: Record<Names, Tensor>) => Traced,
): Graph {
  const tensors = Object.fromEntries(
    Object.entries<TensorSpec>(inputs).map(([name, { shape, dtype }]) => [name, input(name, shape, dtype)]),
  ) as Record<Names, Tensor>;
  const { outputs, updates = [] } = model(tensors);
  for (const [state, value] of updates) {
    if (state.node.op !== "state" || state.dtype !== value.dtype || !sameShape(state.shape, value.shape)) {
      throw stateError(`cannot be replaced by ${value.dtype} ${formatShape(value.shape)}`, state);
    }
  }
  const states = new Map<string, Tensor>();
  const note = (t: Tensor) => {
    const name = stateName(t);
    const first = states.get(name);
    if (first && first !== t && !(first.dtype === t.dtype && sameShape(first.shape, t.shape))) {
      throw stateError(`is declared twice, also as ${first.dtype} ${formatShape(first.shape)}`, t);
    }
    if (!first) states.set(name, t);
  };
  updates.forEach(([state]) => note(state));
  for (const node of reachableNodes(rootsOf({ outputs, updates }))) {
    if (node.op === "state") note(node.outputs[0]!);
  }
  return { inputs: tensors, outputs, updates, states: [...states.values()] };
}

function stateError(what: string, t: Tensor): ParetoError {
  const name = t.node.op === "state" ? stateName(t) : t.node.op;
  return new ParetoError({
    code: "TRACE_STATE",
    where: "trace",
    message: `trace: state "${name}" ${what}, got ${t.dtype} ${formatShape(t.shape)}`,
    fix: "Give each state one name and one spec, and update it with a tensor of that spec.",
  });
}
