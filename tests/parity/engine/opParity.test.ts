/** @file Every op, and the gradient of every op, on each target against the reference target. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Graph } from "../../../src/engine/graph/graph.ts";
import { openDevice } from "../../../src/engine/openDevice.ts";
import type { Device } from "../../../src/engine/program.ts";
import { opCaseList } from "../../support/engine/cases/opCases.ts";
import { devices, tryOpenDevice } from "../../support/engine/devices.ts";
import { caseFeeds, gradientGraph, valueGraph, type OpCase } from "../../support/engine/opCase.ts";
import { createStates, runGraph } from "../../support/engine/runGraph.ts";
import { opTolerance, tolerance, type Tolerance } from "../../support/engine/tolerances.ts";
import type { DType } from "../../../src/base/dtype.ts";
import "../../support/engine/toBeAllclose.ts";

describe.each(devices)("%s", async (name) => {
  const opened = await tryOpenDevice(name);
  if ("missing" in opened) {
    test.skip(`skipped: ${opened.missing}`);
    return;
  }
  let reference: Device;
  beforeAll(async () => {
    reference = await openDevice("reference");
  });
  afterAll(async () => {
    await opened.dispose();
    await reference.dispose();
  });

  async function compare(testCase: OpCase, graph: Graph, within: (dtype: DType) => Tolerance): Promise<void> {
    const feeds = caseFeeds(testCase, "float32");
    for (const device of [reference, opened as Device]) await createStates(device, testCase, "float32");
    const want = await runGraph(reference, graph, feeds);
    const got = await runGraph(opened as Device, graph, feeds);
    expect(Object.keys(got)).toEqual(Object.keys(want));
    for (const [output, tensor] of Object.entries(want)) {
      expect(got[output], output).toBeAllclose(tensor, within(tensor.dtype));
    }
  }

  test.each(opCaseList)("$op: $testCase.name", async ({ op, testCase }) => {
    await compare(testCase, valueGraph(testCase, "float32"), (dtype) => opTolerance(op, dtype));
  });

  const differentiable = opCaseList.filter(
    ({ testCase }) => !testCase.noFiniteDifference && gradientGraph(testCase, "float32"),
  );
  test.each(differentiable)("gradient of $op: $testCase.name", async ({ testCase }) => {
    await compare(testCase, gradientGraph(testCase, "float32")!, (dtype) => tolerance("chain", dtype));
  });
});
