/** @file When a state's next value is written over its old one, and when it must not be. */
import { describe, expect, test } from "vitest";
import type { Traced } from "../../../../../../src/engine/graph/graph.ts";
import { matmul } from "../../../../../../src/engine/graph/ops/contraction.ts";
import { add, mul, tanh } from "../../../../../../src/engine/graph/ops/elementwise.ts";
import { state } from "../../../../../../src/engine/graph/ops/leaf.ts";
import { flip, sum } from "../../../../../../src/engine/graph/ops/movement.ts";
import type { BufferView, Plan, Step } from "../../../../../../src/engine/targets/cuda/plan.ts";
import { float32, planOfModel } from "../../../../../support/engine/lowered.ts";

const spec = { x: float32(4, 4) };
const plan = (model: (x: ReturnType<typeof state>) => Traced) => planOfModel(spec, ({ x }) => model(x));
const isState = (name: string) => (view: BufferView) =>
  view.buffer.kind === "state" && view.buffer.name === name;

/** Views that a step reads and writes. */
function access(step: Step): { reads: BufferView[]; writes: BufferView[] } {
  switch (step.kind) {
    case "kernel": {
      const buffers = step.arguments.filter((argument) => argument.kind === "buffer");
      return {
        reads: buffers.filter(({ access }) => access !== "write").map(({ view }) => view),
        writes: buffers.filter(({ access }) => access !== "read").map(({ view }) => view),
      };
    }
    case "matmul":
      return { reads: [step.a, step.b], writes: [step.out] };
    case "copy":
      return { reads: [step.from], writes: [step.to] };
    case "clear":
      return { reads: [], writes: [step.to] };
  }
}

const readsOf = ({ steps }: Plan, name: string) =>
  steps.flatMap((step, i) => (access(step).reads.some(isState(name)) ? [i] : []));
const writesOf = ({ steps }: Plan, name: string) =>
  steps.flatMap((step, i) => (access(step).writes.some(isState(name)) ? [i] : []));
const copies = ({ steps }: Plan) => steps.filter((step) => step.kind === "copy").length;

describe("a state's next value", () => {
  test("replaces the old one in one kernel, which also serves as the output", () => {
    const made = plan((x) => {
      const y = add(state("s", [4, 4]), x);
      return { outputs: { y }, updates: [[state("s", [4, 4]), y]] };
    });
    expect(made.steps.length).toBe(1);
    expect(writesOf(made, "s")).toEqual([0]);
    expect(isState("s")(made.outputs["y"]!.view)).toBe(true);
  });

  test("is written after the last product that reads the old one", () => {
    const made = plan((x) => {
      const s = state("s", [4, 4]);
      const h = tanh(matmul(x, s));
      return { outputs: { y: matmul(h, s) }, updates: [[s, mul(s, 0.5)]] };
    });
    expect(copies(made)).toBe(0);
    expect(Math.max(...readsOf(made, "s").filter((i) => !writesOf(made, "s").includes(i)))).toBeLessThan(
      writesOf(made, "s")[0]!,
    );
  });

  test("goes through other memory where threads read each other's elements", () => {
    const made = plan((x) => {
      const s = state("s", [4, 4]);
      return { outputs: { x: sum(x) }, updates: [[s, flip(s, 1)]] };
    });
    expect(copies(made)).toBe(1);
    expect(writesOf(made, "s")).toEqual([made.steps.length - 1]);
  });

  test("goes through other memory where a later step needs the old one", () => {
    const made = plan((x) => {
      const s = state("s", [4, 4]);
      const next = tanh(add(s, x));
      return { outputs: { y: matmul(next, flip(s, 0)), z: matmul(s, next) }, updates: [[s, next]] };
    });
    expect(Math.max(...readsOf(made, "s"))).toBeLessThan(Math.min(...writesOf(made, "s")));
  });

  test("leaves an output that shows the old one alone", () => {
    const made = plan((x) => {
      const s = state("s", [4, 4]);
      return { outputs: { old: s }, updates: [[s, add(s, x)]] };
    });
    expect(made.outputs["old"]!.view.buffer.kind).toBe("output");
    expect(Math.max(...readsOf(made, "s").slice(0, -1))).toBeLessThan(writesOf(made, "s")[0]!);
  });

  test("may be another state's old one: states swap", () => {
    const made = plan(() => {
      const [a, b] = [state("a", [4, 4]), state("b", [4, 4])];
      return {
        outputs: {},
        updates: [
          [a, b],
          [b, a],
        ],
      };
    });
    for (const name of ["a", "b"]) {
      expect(Math.max(...readsOf(made, name))).toBeLessThan(Math.min(...writesOf(made, name)));
    }
  });

  test("after a sum replaces what only the thread of the result reads", () => {
    const made = plan((x) => {
      const s = state("s", [4]);
      return { outputs: {}, updates: [[s, add(s, sum(x, 0))]] };
    });
    expect(made.steps.length).toBe(1);
  });

  test("that stays as it was takes no step", () => {
    const made = plan(() => {
      const s = state("s", [4, 4]);
      return { outputs: {}, updates: [[s, s]] };
    });
    expect(made.steps).toEqual([]);
  });
});
