/** @file A model's weights on a GPU: read from files, or made there at random to measure and to test. */
import { trace } from "../../engine/graph/graph.ts";
import { add, cast, mul } from "../../engine/graph/ops/elementwise.ts";
import { random, state } from "../../engine/graph/ops/leaf.ts";
import type { CudaDevice } from "../../engine/targets/cuda/index.ts";
import { formatShape, type Shape } from "../../base/shape.ts";
import { stateElements } from "../load/stateElements.ts";
import type { ModelFiles } from "../load/weights.ts";
import type { Decoder } from "../models/decoder.ts";

/** Receives tensors loaded so far, and in all. */
export type LoadProgress = (done: number, total: number, unit: "tensors") => void;

/** Copies a model's weights to the GPU, one after the other. */
export async function loadWeights(
  device: CudaDevice,
  { states, dtype }: Decoder,
  files: ModelFiles,
  onProgress?: LoadProgress,
): Promise<void> {
  let done = 0;
  for (const [name, source] of states) {
    await device.createState(name, { shape: source.shape, dtype }, await stateElements(files, source, dtype));
    onProgress?.(++done, states.size, "tensors");
  }
}

/** Deviation of random weights, that of many published initialisations. */
const DEVIATION = 0.02;

/**
 * Fills a model's weights with uniform random numbers of deviation 0.02; scales of norms lie around 1. The numbers are
 * made on the GPU.
 */
export async function randomWeights(
  device: CudaDevice,
  { states, dtype }: Decoder,
  seed: number,
): Promise<void> {
  const fillers = new Map<string, Awaited<ReturnType<typeof filler>>>();
  const key = device.allocator.allocate(16, "random weights");
  let stream = 0;
  try {
    for (const [name, { shape }] of states) {
      await device.createState(name, { shape, dtype });
      const mean = shape.length === 1 && name.endsWith(".weight") ? 1 : 0;
      const kind = `${formatShape(shape)} ${mean}`;
      if (!fillers.has(kind)) fillers.set(kind, await filler(device, shape, dtype, mean));
      const program = fillers.get(kind)!;
      const arena = device.allocator.allocate(Math.max(1, program.arenaBytes), "random weights");
      device.stream.copyToDevice(key.pointer, Int32Array.of(seed, 0, stream++, 0), 16);
      program.queue({
        arena: arena.pointer,
        inputs: { key: key.pointer },
        outputs: {},
        state: () => device.statePointer(name),
      });
      await device.finished();
      arena.free();
    }
  } finally {
    key.free();
    for (const program of fillers.values()) await program.dispose();
  }
}

function filler(device: CudaDevice, shape: Shape, dtype: Decoder["dtype"], mean: number) {
  // A uniform number of [0, 1) has deviation 1 / √12.
  const width = DEVIATION * Math.sqrt(12);
  const graph = trace({ key: { shape: [4], dtype: "int32" } }, ({ key }) => {
    const values = add(mul(random(key, shape), width), mean - width / 2);
    return { outputs: {}, updates: [[state("weights", shape, dtype), cast(values, dtype)]] };
  });
  return device.compile(graph, { isQueued: true });
}
