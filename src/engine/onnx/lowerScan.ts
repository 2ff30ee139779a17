/**
 * @file A scan as ONNX Scan. The body is a graph of its own that sees outer tensors by name, so loop constants
 * are simply the outer names; carries and sequences are the body's inputs.
 */
import type { AnyNode, Node, Tensor } from "../graph/node.ts";
import { reachableNodes } from "../graph/rewrite.ts";
import type { Shape } from "../../base/shape.ts";
import { OnnxBuilder } from "./builder.ts";
import type { OnnxValue } from "./proto.ts";

/** Lowers nodes, producers first, into a builder; given so that a body is lowered by the same rules as its graph. */
export type LowerNodes = (
  b: OnnxBuilder,
  nodes: readonly AnyNode[],
  roots: readonly Tensor[],
  names: Map<Tensor, string>,
) => void;

/** Emits a scan. */
export function lowerScan(
  b: OnnxBuilder,
  node: Node<"scan">,
  inputs: string[],
  lowerNodes: LowerNodes,
): string[] {
  const { body, length, reverse } = node.attrs;
  const inner = new OnnxBuilder(b.names, b.free);
  const value = (name: string, { dtype, shape }: Tensor): OnnxValue => ({
    name,
    dtype,
    shape,
    ...freeAxes(b, shape),
  });
  const names = new Map<Tensor, string>();
  const parameters: OnnxValue[] = [];
  body.parameters.forEach((t, i) => {
    if (i < body.constants) {
      names.set(t, inputs[i]!);
      return;
    }
    const name = b.names.fresh("slice");
    names.set(t, name);
    parameters.push(value(name, t));
  });
  const operands = inputs.slice(body.constants);
  if (operands.length === body.carries) {
    // ONNX wants at least one sequence to count the steps by.
    operands.push(b.initializer("float32", [length], new Float32Array(length)));
    parameters.push({ name: b.names.fresh("slice"), dtype: "float32", shape: [] });
  }
  lowerNodes(inner, reachableNodes(body.results), body.results, names);
  const results = body.results.map((t) => {
    const name = b.names.fresh("result");
    inner.identity(names.get(t)!, name);
    return value(name, t);
  });
  const sequences = operands.length - body.carries;
  const direction = Number(reverse);
  const stacked = body.results.length - body.carries;
  return b.ops("Scan", operands, body.results.length, {
    body: { graph: inner.finish(b.names.fresh("step"), parameters, results) },
    num_scan_inputs: sequences,
    scan_input_directions: Array.from({ length: sequences }, () => direction),
    scan_output_directions: Array.from({ length: stacked }, () => direction),
  });
}

/** Names for the axes of a body's tensor that may have any length. */
function freeAxes(b: OnnxBuilder, shape: Shape): Pick<OnnxValue, "freeAxes"> {
  const axes = shape.flatMap((n, axis) =>
    b.isFree(n) ? [[axis, `length_${n / b.free!.length}`] as const] : [],
  );
  return axes.length === 0 ? {} : { freeAxes: Object.fromEntries(axes) };
}
