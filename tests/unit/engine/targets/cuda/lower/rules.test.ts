/** @file What the rules of hand-written kernels emit, without a GPU: launches that fit one, and every result written. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { rootsOf } from "../../../../../../src/engine/graph/graph.ts";
import type { AnyNode, Node, Tensor } from "../../../../../../src/engine/graph/node.ts";
import type { OpName } from "../../../../../../src/engine/graph/opAttrs.ts";
import { reachableNodes } from "../../../../../../src/engine/graph/rewrite.ts";
import { sizeOf, tensorBytes } from "../../../../../../src/base/shape.ts";
import { vectorWidth } from "../../../../../../src/engine/targets/cuda/lower/kernelStep.ts";
import type { LowerContext, LowerRule } from "../../../../../../src/engine/targets/cuda/lower/lowering.ts";
import { rowShape } from "../../../../../../src/engine/targets/cuda/lower/rowShape.ts";
import { rules } from "../../../../../../src/engine/targets/cuda/lower/rules.ts";
import type { BufferView, PlanBuffer, Step } from "../../../../../../src/engine/targets/cuda/plan.ts";
import { opCases } from "../../../../../support/engine/cases/opCases.ts";
import { valueGraph } from "../../../../../support/engine/opCase.ts";

const THREADS_MAX = 1024;
const SHARED_MAX = 232_448;

/** The steps of a node, and where its tensors lie. */
function lower(node: AnyNode): { steps: Step[]; views: Map<Tensor, BufferView> } {
  const steps: Step[] = [];
  const views = new Map<Tensor, BufferView>();
  const buffer = (bytes: number): BufferView => ({
    buffer: { kind: "scratch", name: "", bytes } satisfies PlanBuffer,
    offsetBytes: 0,
  });
  for (const t of [...node.inputs, ...node.outputs]) if (!views.has(t)) views.set(t, buffer(tensorBytes(t)));
  const context: LowerContext = {
    arch: "sm_90a",
    multiprocessors: 132,
    maxSharedBytes: SHARED_MAX,
    compute: "float32",
    view: (t) => views.get(t)!,
    scratch: buffer,
    emit: (step) => steps.push(step),
    // Of a state too wide for the kernel; steps that stand for those of the loop.
    lowerBody: (results, _, targets) =>
      results.map((t, i) => ({ kind: "clear", to: targets[i]!, bytes: tensorBytes(t) })),
  };
  (rules[node.op as keyof typeof rules] as LowerRule<OpName>)(node as unknown as Node, context);
  return { steps, views };
}

/** Every buffer that a step writes. */
function written(step: Step): PlanBuffer[] {
  switch (step.kind) {
    case "kernel":
      return step.arguments.flatMap((a) =>
        a.kind === "buffer" && a.access !== "read" ? [a.view.buffer] : [],
      );
    case "matmul":
      return [step.out.buffer];
    default:
      return [step.to.buffer];
  }
}

const ops = Object.keys(rules).filter((op) => op !== "scan") as (keyof typeof rules)[];
const cases = ops.flatMap((op) => opCases[op].map((testCase) => ({ op, name: testCase.name, testCase })));

test.each(cases)("$op, $name: launches fit a GPU and write every result", ({ op, testCase }) => {
  const nodes = reachableNodes(rootsOf(valueGraph(testCase, "float32"))).filter((node) => node.op === op);
  for (const node of nodes) {
    const { steps, views } = lower(node);
    const results = new Set(steps.flatMap(written));
    for (const t of node.outputs) {
      expect(results.has(views.get(t)!.buffer), `output ${t.index}`).toBe(sizeOf(t.shape) > 0);
    }
    for (const step of steps) {
      if (step.kind !== "kernel") continue;
      expect(step.source.code).toContain(`${step.source.name}(`);
      expect(Math.min(...step.grid, ...step.block)).toBeGreaterThan(0);
      expect(sizeOf(step.block)).toBeLessThanOrEqual(THREADS_MAX);
      expect(step.sharedBytes).toBeLessThanOrEqual(SHARED_MAX);
      for (const a of step.arguments) {
        if (a.kind === "buffer")
          expect(a.bytes).toBeLessThanOrEqual(a.view.buffer.bytes - a.view.offsetBytes);
      }
    }
  }
});

describe("row kernels", () => {
  test("any width is spread over threads that cover it, and held only where registers suffice", () => {
    const width = fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 200_000 }));
    fc.assert(
      fc.property(width, fc.constantFrom(1, 2, 4), fc.constantFrom(8, 16, 32), (n, vector, held) => {
        const { THREADS, ROWS, HELD } = rowShape(n, vector, held);
        expect(Math.log2(THREADS) % 1).toBe(0);
        expect(THREADS * ROWS).toBeLessThanOrEqual(THREADS_MAX);
        expect(ROWS === 1 || THREADS <= 32).toBe(true);
        const vectorsEach = Math.ceil(n / (THREADS * vector));
        if (HELD === "true") expect(vectorsEach * vector).toBeLessThanOrEqual(Math.max(held, vector));
        else expect(THREADS).toBe(THREADS_MAX);
      }),
    );
  });

  test("elements move 16 bytes at a time where width and places allow", () => {
    const at = (offsetBytes: number): BufferView => ({
      buffer: { kind: "scratch", name: "", bytes: 1024 },
      offsetBytes,
    });
    expect(vectorWidth(8, "float32", at(0), at(64))).toBe(4);
    expect(vectorWidth(8, "float32", at(0), at(8))).toBe(2);
    expect(vectorWidth(8, "float32", at(4))).toBe(1);
    expect(vectorWidth(6, "float32", at(0))).toBe(2);
    expect(vectorWidth(7, "float32", at(0))).toBe(1);
    expect(vectorWidth(16, "bfloat16", at(0))).toBe(8);
    expect(vectorWidth(16, "float16", at(8))).toBe(4);
  });
});
