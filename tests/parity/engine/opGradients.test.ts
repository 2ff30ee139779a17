/** @file Gradients of every op against central differences, in float64 on the reference target. */
import { describe, expect, test } from "vitest";
import { openDevice } from "../../../src/engine/openDevice.ts";
import type { Device } from "../../../src/engine/program.ts";
import { opCaseList, opCases } from "../../support/engine/cases/opCases.ts";
import { allNodes } from "../../support/engine/allNodes.ts";
import { caseFeeds, gradientGraph, valueGraph, type OpCase } from "../../support/engine/opCase.ts";
import { compileGraph, createStates, type Outputs } from "../../support/engine/runGraph.ts";
import { tolerance } from "../../support/engine/tolerances.ts";
import "../../support/engine/toBeAllclose.ts";

const step = 1e-6;
/** Elements of an operand whose derivative is checked; the others of a large operand are like them. */
const checkedMax = 24;

/** dloss/dx of some elements of an operand by central differences, beside what the graph says of them. */
async function compare(
  run: (feeds: Outputs) => Promise<Outputs>,
  feeds: Outputs,
  name: string,
  gradient: Outputs[string],
): Promise<void> {
  const x = feeds[name]!;
  const stride = Math.max(1, Math.floor(x.data.length / checkedMax));
  const places = Array.from({ length: Math.ceil(x.data.length / stride) }, (_, i) => i * stride);
  const numeric = new Float64Array(places.length);
  for (const [i, place] of places.entries()) {
    const lossAt = async (delta: number) => {
      const data = x.data.slice();
      data[place]! += delta;
      return (await run({ ...feeds, [name]: { ...x, data } })).loss!.data[0]!;
    };
    numeric[i] = ((await lossAt(step)) - (await lossAt(-step))) / (2 * step);
  }
  const picked = Float64Array.from(places, (place) => gradient.data[place]!);
  const shape = [places.length];
  expect(gradient.shape).toEqual(x.shape);
  expect({ shape, dtype: "float64" as const, data: picked }).toBeAllclose(
    { shape, dtype: "float64", data: numeric },
    tolerance("finiteDifference", "float64"),
  );
}

async function check(device: Device, testCase: OpCase, order: 1 | 2): Promise<number> {
  const graph = gradientGraph(testCase, "float64", order);
  if (!graph) return 0;
  await createStates(device, testCase, "float64");
  const { run } = await compileGraph(device, graph);
  const feeds = caseFeeds(testCase, "float64");
  const first = await run(feeds);
  const gradients = Object.entries(first).filter(([name]) => name !== "loss");
  for (const [name, gradient] of gradients) await compare(run, feeds, name.replace("g", "x"), gradient);
  return gradients.length;
}

test.each(Object.entries(opCases))("the cases of %s use it", (op, cases) => {
  const using = cases.filter((c) => allNodes(valueGraph(c, "float64")).some((node) => node.op === op));
  expect(using.map((c) => c.name)).toEqual(cases.map((c) => c.name));
});

describe("gradients agree with central differences", async () => {
  const device = await openDevice("reference");
  const cases = opCaseList.filter(
    ({ testCase }) => !testCase.noFiniteDifference && gradientGraph(testCase, "float64"),
  );
  test.each(cases)("$op: $testCase.name", async ({ testCase }) => {
    expect(await check(device, testCase, 1)).toBeGreaterThan(0);
  });
});

describe("second gradients agree with central differences", async () => {
  const device = await openDevice("reference");
  const twice = [
    "tanh",
    "sigmoid",
    "softplus",
    "erf",
    "mul",
    "div",
    "pow",
    "where",
    "softmax",
    "cumsum",
    "matmul",
  ];
  const composites = [
    "softmaxGradient",
    "layerNorm",
    "rmsNorm",
    "crossEntropy",
    "lstmCell",
    "lstmScan",
    "featureInteraction",
  ];
  const loops = ["conv1d", "dotInteraction", "gather", "take", "slice", "scan"];
  const cases = opCaseList.filter(
    ({ op, testCase }) =>
      [...twice, ...composites, ...loops].includes(op) &&
      !testCase.noFiniteDifference &&
      gradientGraph(testCase, "float64"),
  );
  test.each(cases)("$op: $testCase.name", async ({ testCase }) => {
    expect(await check(device, testCase, 2)).toBeGreaterThan(0);
  });
});
