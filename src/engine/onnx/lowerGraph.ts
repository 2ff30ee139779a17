/**
 * @file A graph as an ONNX graph. Inputs, states and random tensors become ONNX inputs; outputs and new states
 * become ONNX outputs. `cpu` runs the result; `export` stores the states in it.
 */
import { rootsOf, stateName, type Graph } from "../graph/graph.ts";
import type { AnyNode, Node, Tensor } from "../graph/node.ts";
import type { OpName } from "../graph/opAttrs.ts";
import { reachableNodes } from "../graph/rewrite.ts";
import { OnnxBuilder } from "./builder.ts";
import { findBiases, lowerBiased, type Biased } from "./fuse.ts";
import { lowerings, type Lowering } from "./lowerOps.ts";
import { lowerScan, type LowerNodes } from "./lowerScan.ts";
import type { OnnxGraph, OnnxInitializer, OnnxValue } from "./proto.ts";

/** Names of a lowered graph's ends. */
export interface LoweredGraph {
  onnx: OnnxGraph;
  /** Random tensors to be filled before a run: the ONNX input and the node that states its key. */
  randoms: { name: string; node: Node<"random"> }[];
}

/** How ends are named and which states are stored in the model. */
export interface LoweringOptions {
  /** Prefixes that keep inputs, outputs and states apart; empty for exported models. */
  prefixes?: { input: string; output: string };
  /** States stored in the model, by name; others become inputs. */
  stored?: ReadonlyMap<string, OnnxInitializer>;
  /** Name of the first axis of inputs and outputs when it may have any length. */
  freeAxis?: string;
  /** The length that the free axis was traced at, where shapes within the graph may be folded with it. */
  freeLength?: number;
}

/** Name of the ONNX input that holds a state. */
export const stateInput = (name: string) => `state/${name}`;
/** Name of the ONNX output that holds a state's next value. */
export const stateOutput = (name: string) => `next/${name}`;

/** Lowers nodes; `names` holds the ONNX name of every tensor known so far and receives the nodes' outputs. */
const lowerNodes: LowerNodes = (b, nodes, roots, names) => {
  const biases = findBiases(nodes, roots);
  for (const node of nodes) {
    if (node.outputs.every((t) => names.has(t)) || biases.products.has(node)) continue;
    const made = lowerNode(b, node, biases.sums.get(node), names);
    [made].flat().forEach((name, i) => names.set(node.outputs[i]!, name));
  }
};

function lowerNode(
  b: OnnxBuilder,
  node: AnyNode,
  biased: Biased | undefined,
  names: ReadonlyMap<Tensor, string>,
): string | string[] {
  if (biased) return lowerBiased(b, biased, names);
  const inputs = node.inputs.map((t) => names.get(t)!);
  if (node.op === "scan") return lowerScan(b, node, inputs, lowerNodes);
  const lower = lowerings[node.op as keyof typeof lowerings] as Lowering<OpName>;
  return lower(b, node as unknown as Node, inputs);
}

/** Lowers a graph. */
export function lowerGraph(graph: Graph, options: LoweringOptions = {}): LoweredGraph {
  const { prefixes = { input: "", output: "" }, stored = new Map(), freeAxis, freeLength } = options;
  const [firstInput] = Object.keys(graph.inputs);
  const b = new OnnxBuilder(
    undefined,
    freeLength === undefined || firstInput === undefined
      ? undefined
      : { length: freeLength, input: prefixes.input + firstInput },
  );
  const names = new Map<Tensor, string>();
  const inputs: OnnxValue[] = [];
  const outputs: OnnxValue[] = [];
  const randoms: LoweredGraph["randoms"] = [];
  const kept: OnnxInitializer[] = [];
  const value = (name: string, { dtype, shape }: Tensor): OnnxValue => ({
    name,
    dtype,
    shape,
    ...(freeAxis !== undefined && { freeAxis }),
  });
  for (const [name, t] of Object.entries(graph.inputs)) {
    names.set(t, prefixes.input + name);
    inputs.push(value(prefixes.input + name, t));
  }
  const roots = rootsOf(graph);
  const nodes = reachableNodes(roots);
  for (const node of nodes) {
    const t = node.outputs[0]!;
    if (node.op === "state") {
      const initializer = stored.get(stateName(t));
      if (initializer) {
        if (!kept.includes(initializer)) kept.push(initializer);
        names.set(t, initializer.name);
      } else {
        const name = stateInput(stateName(t));
        if (!inputs.some((i) => i.name === name)) inputs.push({ name, dtype: t.dtype, shape: t.shape });
        names.set(t, name);
      }
    } else if (node.op === "random") {
      const name = b.names.fresh("random");
      inputs.push({ name, dtype: t.dtype, shape: t.shape });
      names.set(t, name);
      randoms.push({ name, node });
    }
  }
  lowerNodes(b, nodes, roots, names);
  const emit = (name: string, t: Tensor) => {
    b.identity(names.get(t)!, name);
    outputs.push(value(name, t));
  };
  for (const [name, t] of Object.entries(graph.outputs)) emit(prefixes.output + name, t);
  for (const [s, t] of graph.updates) emit(stateOutput(stateName(s)), t);
  const onnx = b.finish("pareto", inputs, outputs);
  onnx.initializers.push(...kept);
  return { onnx, randoms };
}
