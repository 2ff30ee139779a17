/**
 * @file A piece of a model's graph for few rows, run at once on the calling thread and the kernel threads: products by
 * the kernel that streams weights (`assembly/multiply.ts`), all else, a few thousand elements, in plain loops.
 *
 * A decoded token is little work behind many small products, each limited by how fast its weights are read. A runtime
 * that wakes its threads anew for each, and reads several rows of weights at a time, takes up to twice as long. The ops
 * known here are those that models are written with. Every row is computed by itself: others beside it change no bit.
 */
import { rootsOf, type Graph } from "../../engine/graph/graph.ts";
import type { AnyNode, Tensor } from "../../engine/graph/node.ts";
import { reachableNodes } from "../../engine/graph/rewrite.ts";
import { decomposeComposites } from "../../engine/passes/decomposeComposites.ts";
import { simplify } from "../../engine/passes/simplify.ts";
import { sizeOf } from "../../base/shape.ts";
import { lowerRowOp, type RowValues } from "./rowOps.ts";
import type { SharedWeights } from "./sharedWeights.ts";

/** One compiled graph. */
export class RowProgram {
  readonly #inputs: ReadonlyMap<string, RowValues>;
  readonly #outputs: readonly (readonly [name: string, values: RowValues])[];
  readonly #work: readonly (() => void)[];

  private constructor(
    inputs: ReadonlyMap<string, RowValues>,
    outputs: readonly (readonly [string, RowValues])[],
    work: readonly (() => void)[],
  ) {
    this.#inputs = inputs;
    this.#outputs = outputs;
    this.#work = work;
  }

  /** Null for a graph with an op, or a shape of one, that is not known here. */
  static compile(graph: Graph, weights: SharedWeights): RowProgram | null {
    const simple = simplify(decomposeComposites(graph, ["rmsNorm", "layerNorm"]));
    const values = new Map<Tensor, RowValues>();
    const inputs = new Map<string, RowValues>();
    const work: (() => void)[] = [];
    const place = (node: AnyNode): boolean => {
      const [output] = node.outputs as [Tensor];
      const size = sizeOf(output.shape);
      if (node.op === "input") {
        const array = output.dtype === "int32" ? new Int32Array(size) : new Float32Array(size);
        values.set(output, array);
        inputs.set(node.attrs.name, array);
      } else if (node.op === "state") {
        values.set(output, weights.get(node.attrs.name));
      } else if (node.op === "constant") {
        values.set(output, Float32Array.from(node.attrs.data as ArrayLike<number>));
      } else if (node.op === "reshape") {
        values.set(output, values.get(node.inputs[0]!)!);
      } else {
        const out = new Float32Array(size);
        const run = lowerRowOp(
          node,
          node.inputs.map((t) => values.get(t)!),
          out,
          weights,
        );
        if (!run) return false;
        values.set(output, out);
        work.push(run);
      }
      return true;
    };
    for (const node of reachableNodes(rootsOf(simple))) if (!place(node)) return null;
    const outputs = Object.entries(simple.outputs).map(([name, t]) => [name, values.get(t)!] as const);
    return new RowProgram(inputs, outputs, work);
  }

  /** Runs once. Arrays of outputs may be those of inputs. */
  run(feeds: Readonly<Record<string, RowValues>>, into: Readonly<Record<string, RowValues>>): void {
    for (const [name, values] of this.#inputs) values.set(feeds[name]!);
    for (const work of this.#work) work();
    for (const [name, values] of this.#outputs) into[name]!.set(values);
  }
}
