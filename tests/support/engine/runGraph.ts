/** @file Runs graphs on a device with host tensors in and out. */
import type { FloatDType } from "../../../src/base/dtype.ts";
import type { Graph } from "../../../src/engine/graph/graph.ts";
import type { Device } from "../../../src/engine/program.ts";
import type { HostTensor } from "./hostTensor.ts";
import { caseStates, type OpCase } from "./opCase.ts";

/** Outputs by name. */
export type Outputs = Record<string, HostTensor>;

/** Compiles a graph; the function returned runs it any number of times. */
export async function compileGraph(
  device: Device,
  graph: Graph,
): Promise<{ run: (feeds: Record<string, HostTensor>) => Promise<Outputs>; dispose: () => Promise<void> }> {
  const program = await device.compile(graph);
  return {
    run: async (feeds) => {
      const names = Object.keys(graph.inputs);
      const arrays = await program.run(Object.fromEntries(names.map((name) => [name, feeds[name]!.data])));
      return Object.fromEntries(
        Object.entries(graph.outputs).map(([name, { shape, dtype }]) => [
          name,
          { shape, dtype, data: arrays[name]! },
        ]),
      );
    },
    dispose: () => program.dispose(),
  };
}

/** Compiles a graph and runs it once. */
export async function runGraph(
  device: Device,
  graph: Graph,
  feeds: Record<string, HostTensor>,
): Promise<Outputs> {
  const { run, dispose } = await compileGraph(device, graph);
  const outputs = await run(feeds);
  await dispose();
  return outputs;
}

/** Creates the states of a case, which no other case names; several graphs of it may share them. */
export async function createStates(device: Device, testCase: OpCase, float: FloatDType): Promise<void> {
  for (const [name, { data, ...spec }] of Object.entries(caseStates(testCase, float))) {
    if (!device.states().has(name)) await device.createState(name, spec, data);
  }
}
