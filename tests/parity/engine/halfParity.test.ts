/**
 * @file 16-bit floats: every op, and its gradient, on the reference target against the same in float64 on the same
 * numbers, and on each target that has these types against the reference target.
 */
import { afterAll, describe, expect, test } from "vitest";
import { isHalf, type DType, type FloatDType } from "../../../src/base/dtype.ts";
import type { Graph } from "../../../src/engine/graph/graph.ts";
import { encodeHalf, numbersOf } from "../../../src/base/half.ts";
import { openDevice } from "../../../src/engine/openDevice.ts";
import type { Device } from "../../../src/engine/program.ts";
import { halfCases, type HalfCase } from "../../support/engine/cases/half.ts";
import { opCaseList } from "../../support/engine/cases/opCases.ts";
import { devices, hasHalf, tryOpenDevice } from "../../support/engine/devices.ts";
import type { HostTensor } from "../../support/engine/hostTensor.ts";
import {
  caseFeeds,
  caseStates,
  gradientGraph,
  valueGraph,
  type OpCase,
} from "../../support/engine/opCase.ts";
import { createStates, runGraph, type Outputs } from "../../support/engine/runGraph.ts";
import { opTolerance, tolerance, type Tolerance } from "../../support/engine/tolerances.ts";
import "../../support/engine/toBeAllclose.ts";

const halves = ["float16", "bfloat16"] as const;

/** Cases with a float operand or state, whose type can then be a 16-bit one. */
const general = opCaseList.filter(({ testCase: { operands, states = {} } }) =>
  [...operands, ...Object.values(states)].some(({ kind }) => kind === "float"),
);
const all: readonly HalfCase[] = [...general, ...halfCases];
const differentiable = all.filter(
  ({ testCase }) => !testCase.noFiniteDifference && gradientGraph(testCase, "float32"),
);

/** How close a case's results are: some composites' cases apply several ops, each of which rounds. */
function valueTolerance({ op, isChain }: HalfCase, dtype: DType): Tolerance {
  const several = isChain || op === "softmaxGradient" || op === "lstmCell";
  return several ? tolerance("chain", dtype) : opTolerance(op, dtype);
}

/** The same numbers in float64. */
function widened({ shape, dtype, data }: HostTensor): HostTensor {
  return isHalf(dtype)
    ? { shape, dtype: "float64", data: Float64Array.from(numbersOf(data, dtype)) }
    : { shape, dtype, data };
}

/** A float64 result rounded to the type that was wanted. */
function rounded({ shape, dtype, data }: HostTensor, wanted: DType): HostTensor {
  if (isHalf(wanted) && dtype === "float64") return { shape, dtype: wanted, data: encodeHalf(wanted, data) };
  if (wanted === "float32" && dtype === "float64")
    return { shape, dtype: wanted, data: Float32Array.from(data) };
  return { shape, dtype, data };
}

async function runOnReference(
  graph: Graph,
  feeds: Record<string, HostTensor>,
  states: Record<string, HostTensor>,
): Promise<Outputs> {
  const device = await openDevice("reference");
  for (const [name, { data, ...spec }] of Object.entries(states)) await device.createState(name, spec, data);
  const outputs = await runGraph(device, graph, feeds);
  await device.dispose();
  return outputs;
}

/** Outputs but the loss, which sums up the rounding of all results and so tells less than they do. */
const compared = (outputs: Outputs) => Object.entries(outputs).filter(([name]) => name !== "loss");

const mapped = (tensors: Record<string, HostTensor>) =>
  Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, widened(tensor)]));

describe.each(halves)("reference in %s agrees with float64", (float) => {
  async function compare(
    testCase: OpCase,
    graphOf: (testCase: OpCase, float: FloatDType) => Graph,
    within: (dtype: DType) => Tolerance,
  ): Promise<void> {
    const [feeds, states] = [caseFeeds(testCase, float), caseStates(testCase, float)];
    const got = await runOnReference(graphOf(testCase, float), feeds, states);
    const exact = await runOnReference(graphOf(testCase, "float64"), mapped(feeds), mapped(states));
    for (const [output, tensor] of compared(got)) {
      expect(tensor, output).toBeAllclose(rounded(exact[output]!, tensor.dtype), within(tensor.dtype));
    }
  }

  test.each(all)("$op: $testCase.name", async (each) => {
    await compare(each.testCase, valueGraph, (dtype) => valueTolerance(each, dtype));
  });
  test.each(differentiable)("gradient of $op: $testCase.name", async ({ testCase }) => {
    const graphOf = (c: OpCase, f: FloatDType) => gradientGraph(c, f)!;
    await compare(testCase, graphOf, (dtype) => tolerance("chain", dtype));
  });
});

describe.each(devices.filter(hasHalf))("%s agrees with reference", (name) => {
  describe.each([...halves, "float32"] as const)("in %s", async (float) => {
    const opened = await tryOpenDevice(name);
    if ("missing" in opened) {
      test.skip(`skipped: ${opened.missing}`);
      return;
    }
    afterAll(() => opened.dispose());

    async function compare(
      testCase: OpCase,
      graph: Graph,
      within: (dtype: DType) => Tolerance,
    ): Promise<void> {
      const feeds = caseFeeds(testCase, float);
      await createStates(opened as Device, testCase, float);
      const want = await runOnReference(graph, feeds, caseStates(testCase, float));
      const got = await runGraph(opened as Device, graph, feeds);
      for (const [output, tensor] of compared(want)) {
        expect(got[output], output).toBeAllclose(tensor, within(tensor.dtype));
      }
    }

    // The other cases run in float32 beside those of the other targets. While one test waits for its kernels to be
    // compiled, others go on.
    const own = (list: typeof all) =>
      float === "float32" ? list.filter((c) => halfCases.includes(c)) : list;
    test.concurrent.each(own(all))("$op: $testCase.name", async (each) => {
      await compare(each.testCase, valueGraph(each.testCase, float), (dtype) => valueTolerance(each, dtype));
    });
    test.concurrent.each(own(differentiable))("gradient of $op: $testCase.name", async ({ testCase }) => {
      await compare(testCase, gradientGraph(testCase, float)!, (dtype) => tolerance("chain", dtype));
    });
  });
});
