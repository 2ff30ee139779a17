/**
 * @file The loop as steps: the body is lowered once over placeholders and emitted once for each turn, with the
 * places of that turn. As part of a CUDA graph the turns follow one another without the host.
 *
 * A carry alternates between two places. One that is also an output of the step needs none: the next turn reads it
 * where this turn stored it.
 */
import type { Tensor } from "../../../graph/node.ts";
import { tensorBytes } from "../../../../base/shape.ts";
import type { BufferView, PlanBuffer, Step } from "../plan.ts";
import type { LowerContext, LowerRule } from "./lowering.ts";

/** Rule of scan. */
export const lowerScan: LowerRule<"scan"> = (node, context) => {
  const { body, length, reverse } = node.attrs;
  const { parameters, results, constants, carries } = body;
  const placeholders = parameters.map((t) => placeholder("parameter", tensorBytes(t)));
  const targets = results.map((t) => placeholder("result", tensorBytes(t)));
  const bound = new Map(parameters.map((t, i): [Tensor, BufferView] => [t, start(placeholders[i]!)]));
  // A carry that is stored as an output is computed there, and not a second time.
  const storedAs = results.slice(0, carries).map((t) => {
    const output = results.indexOf(t, carries);
    return output < 0 ? undefined : output;
  });
  const wanted = [...results.keys()].filter((i) => storedAs[i] === undefined);
  const steps = context.lowerBody(
    wanted.map((i) => results[i]!),
    bound,
    wanted.map((i) => start(targets[i]!)),
  );

  const given = node.inputs.map((t) => context.view(t));
  const made = node.outputs.map((t) => context.view(t));
  const spare = results
    .slice(0, carries)
    .map((t, c) => (storedAs[c] === undefined && length > 1 ? twoPlaces(t, context) : undefined));
  let held = given.slice(constants, constants + carries);
  for (let turn = 0; turn < length; turn++) {
    const at = reverse ? length - 1 - turn : turn;
    const places = new Map<PlanBuffer, BufferView>();
    parameters.forEach((t, i) => {
      const view =
        i < constants ? given[i]! : i < constants + carries ? held[i - constants]! : slice(given[i]!, t, at);
      places.set(placeholders[i]!, view);
    });
    results.forEach((t, i) => {
      if (i >= carries) places.set(targets[i]!, slice(made[i]!, t, at));
      else if (storedAs[i] === undefined) {
        places.set(targets[i]!, turn === length - 1 ? made[i]! : spare[i]![turn % 2]!);
      }
    });
    for (const step of steps) context.emit(relocate(step, places));
    held = held.map((_, c) => places.get(targets[storedAs[c] ?? c]!)!);
  }
  storedAs.forEach((output, c) => {
    const bytes = tensorBytes(results[c]!);
    if (output !== undefined && bytes > 0)
      context.emit({ kind: "copy", from: held[c]!, to: made[c]!, bytes });
  });
};

function placeholder(name: string, bytes: number): PlanBuffer {
  return { kind: "scratch", name, bytes };
}

function start(buffer: PlanBuffer): BufferView {
  return { buffer, offsetBytes: 0 };
}

function slice({ buffer, offsetBytes }: BufferView, t: Tensor, at: number): BufferView {
  return { buffer, offsetBytes: offsetBytes + at * tensorBytes(t) };
}

function twoPlaces(t: Tensor, context: LowerContext): [BufferView, BufferView] {
  return [context.scratch(tensorBytes(t)), context.scratch(tensorBytes(t))];
}

/** A step with placeholders replaced by what they stand for in one turn. */
function relocate(step: Step, places: ReadonlyMap<PlanBuffer, BufferView>): Step {
  const move = (view: BufferView): BufferView => {
    const place = places.get(view.buffer);
    return place ? { buffer: place.buffer, offsetBytes: place.offsetBytes + view.offsetBytes } : view;
  };
  switch (step.kind) {
    case "kernel":
      return {
        ...step,
        arguments: step.arguments.map((argument) =>
          argument.kind === "buffer" ? { ...argument, view: move(argument.view) } : argument,
        ),
      };
    case "matmul":
      return {
        ...step,
        a: move(step.a),
        b: move(step.b),
        ...(step.bias && { bias: move(step.bias) }),
        out: move(step.out),
      };
    case "copy":
      return { ...step, from: move(step.from), to: move(step.to) };
    case "clear":
      return { ...step, to: move(step.to) };
  }
}
