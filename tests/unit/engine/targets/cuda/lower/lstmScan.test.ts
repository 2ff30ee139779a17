/** @file How the loop of an LSTM is spread over a GPU: launches, rows of a block, and what is run step by step. */
import { expect, test } from "vitest";
import { backpropagate } from "../../../../../../src/engine/autodiff.ts";
import type { Node, Tensor } from "../../../../../../src/engine/graph/node.ts";
import { lstmScan } from "../../../../../../src/engine/graph/ops/composite/lstmScan.ts";
import { input } from "../../../../../../src/engine/graph/ops/leaf.ts";
import { tensorBytes } from "../../../../../../src/base/shape.ts";
import type { LowerContext } from "../../../../../../src/engine/targets/cuda/lower/lowering.ts";
import {
  lowerLstmScan,
  lowerLstmScanGradient,
} from "../../../../../../src/engine/targets/cuda/lower/lstmScan.ts";
import type { KernelStep, Step } from "../../../../../../src/engine/targets/cuda/plan.ts";

const hopper = { multiprocessors: 132, maxSharedBytes: 232_448 };
const ampere = { multiprocessors: 108, maxSharedBytes: 166_912 };

interface Loop {
  readonly batch: number;
  readonly hidden: number;
  readonly reverse: readonly boolean[];
}
const both = [false, true];

/** The launches of a loop and of its gradient, and how many bodies were lowered instead. */
function launches({ batch, hidden, reverse }: Loop, gpu: typeof hopper) {
  const steps: Step[] = [];
  let bodies = 0;
  const context: LowerContext = {
    ...gpu,
    arch: "sm_90a",
    compute: "float32",
    view: (t: Tensor) => ({ buffer: { kind: "scratch", name: "", bytes: tensorBytes(t) }, offsetBytes: 0 }),
    scratch: (bytes) => ({ buffer: { kind: "scratch", name: "", bytes }, offsetBytes: 0 }),
    emit: (step) => steps.push(step),
    lowerBody: () => {
      bodies++;
      return [];
    },
  };
  const directions = reverse.map((isReverse, d) => ({
    projected: input(`gates${d}`, [3, batch, 4 * hidden], "float32"),
    recurrent: input(`weights${d}`, [4 * hidden, hidden], "float32"),
    reverse: isReverse,
  }));
  const outputs = lstmScan(directions);
  const [gradient] = backpropagate(outputs, outputs, [directions[0]!.projected]);
  lowerLstmScan(outputs[0]!.node as unknown as Node<"lstmScan">, context);
  lowerLstmScanGradient(gradient!.node as unknown as Node<"lstmScanGradient">, context);
  return { steps: steps as KernelStep[], bodies };
}

const rowsOf = ({ source }: KernelStep) => Number(/#define ROWS (\d+)/.exec(source.code)![1]);

test("two directions share a launch, and a third has its own", () => {
  const { steps } = launches({ batch: 8, hidden: 16, reverse: [false, true, true] }, hopper);
  expect(steps.map(({ source, grid }) => [source.name, grid[1]])).toEqual([
    ["lstmScan", 2],
    ["lstmScan", 1],
    ["lstmScanGradient", 2],
    ["lstmScanGradient", 1],
  ]);
});

test.each([
  { batch: 1, rows: 1 },
  { batch: 66, rows: 1 },
  { batch: 128, rows: 2 },
  { batch: 256, rows: 4 },
  { batch: 1024, rows: 16 },
])("$batch rows in two directions: $rows a block, in one wave", ({ batch, rows }) => {
  const { steps } = launches({ batch, hidden: 128, reverse: both }, hopper);
  for (const step of steps) {
    expect(rowsOf(step)).toBe(rows);
    expect(step.grid[0] * step.grid[1]).toBeLessThanOrEqual(hopper.multiprocessors);
  }
});

test.each([hopper, ampere])("blocks fit $maxSharedBytes bytes of shared memory", (gpu) => {
  for (const hidden of [1, 20, 64, 100, 128]) {
    for (const batch of [1, 100, 1000, 10_000]) {
      const { steps, bodies } = launches({ batch, hidden, reverse: both }, gpu);
      expect(bodies).toBe(0);
      for (const step of steps) {
        expect(step.sharedBytes).toBeLessThanOrEqual(gpu.maxSharedBytes);
        expect(step.grid[0] * rowsOf(step)).toBeGreaterThanOrEqual(batch);
      }
    }
  }
});

test("a state too wide for a block runs step by step, and so does any where shared memory is scarce", () => {
  expect(launches({ batch: 4, hidden: 129, reverse: both }, hopper)).toEqual({ steps: [], bodies: 4 });
  const small = { multiprocessors: 46, maxSharedBytes: 101_376 };
  expect(launches({ batch: 4, hidden: 128, reverse: both }, small)).toEqual({ steps: [], bodies: 4 });
});
