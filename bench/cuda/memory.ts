/**
 * @file What moves through device memory: a copy, fused elementwise work, row reductions. Rates count the fewest bytes
 * that the work can move, each input read once and each output written once; all are related to the copy, timed in
 * turn with them.
 */
import { trace } from "../../src/engine/graph/graph.ts";
import type { Tensor } from "../../src/engine/graph/node.ts";
import { add, mul, relu, sigmoid } from "../../src/engine/graph/ops/elementwise.ts";
import { state } from "../../src/engine/graph/ops/leaf.ts";
import { slice, sum } from "../../src/engine/graph/ops/movement.ts";
import { softmax } from "../../src/engine/graph/ops/reduce.ts";
import type { Shape } from "../../src/base/shape.ts";
import { CudaDevice } from "../../src/engine/targets/cuda/index.ts";
import { layerNorm } from "../../src/nn/functional.ts";
import { GpuTimer } from "../../src/engine/doctor/gpuTimer.ts";
import { createUniform } from "../../src/engine/doctor/uniformStates.ts";
import type { CudaSizes } from "./sizes.ts";
import { attempt, type BenchRow } from "../harness/rows.ts";

/** Tensors `[rows, width]` and vectors `[width]` in, one tensor out. */
interface FusedCase {
  name: string;
  formula: string;
  /** Large inputs: x, y, z. */
  inputs: number;
  build: (tensors: Tensor[], vectors: Tensor[]) => Tensor;
  /** The same for one row, in float64. */
  expected: (rows: Float32Array[], vectors: Float32Array[]) => number[];
}

const EPSILON = 1e-5;
const TOLERANCE = 1e-4;
const TARGET = 0.85;

const cases: readonly FusedCase[] = [
  {
    name: "elementwise",
    formula: "relu(a·x + b)",
    inputs: 1,
    build: ([x], [a, b]) => relu(add(mul(x!, a!), b!)),
    expected: ([x], [a, b]) => Array.from(x!, (v, i) => Math.max(0, v * a![i]! + b![i]!)),
  },
  {
    name: "elementwise",
    formula: "x·sigmoid(y) + z",
    inputs: 3,
    build: ([x, y, z]) => add(mul(x!, sigmoid(y!)), z!),
    expected: ([x, y, z]) => Array.from(x!, (v, i) => v / (1 + Math.exp(-y![i]!)) + z![i]!),
  },
  {
    name: "row reduction",
    formula: "sum",
    inputs: 1,
    build: ([x]) => sum(x!, -1),
    expected: ([x]) => [x!.reduce((total, v) => total + v, 0)],
  },
  {
    name: "row reduction",
    formula: "softmax",
    inputs: 1,
    build: ([x]) => softmax(x!),
    expected: ([x]) => {
      const exps = Array.from(x!, Math.exp);
      const total = exps.reduce((a, b) => a + b, 0);
      return exps.map((e) => e / total);
    },
  },
  {
    name: "row reduction",
    formula: "layer norm",
    inputs: 1,
    build: ([x], [weight, bias]) => layerNorm(x!, weight!, bias!, EPSILON),
    expected: ([x], [weight, bias]) => {
      const mean = x!.reduce((a, b) => a + b, 0) / x!.length;
      const variance = x!.reduce((a, b) => a + (b - mean) ** 2, 0) / x!.length;
      return Array.from(x!, (v, i) => ((v - mean) / Math.sqrt(variance + EPSILON)) * weight![i]! + bias![i]!);
    },
  },
];

/** The copy, then each case. */
export async function* memoryRows(sizes: CudaSizes): AsyncGenerator<BenchRow, void, undefined> {
  const shape = [sizes.elements / sizes.rowWidth, sizes.rowWidth];
  const bytes = 4 * sizes.elements;
  const device = await CudaDevice.open();
  try {
    using timer = new GpuTimer(device);
    await createUniform(device, ["x", "y", "z"], { shape, dtype: "float32", seed: 3 });
    await createUniform(device, ["a", "b"], { shape: [sizes.rowWidth], dtype: "float32", seed: 4 });
    const target = device.allocator.allocate(bytes, "copy");
    const source = device.statePointer("x");
    const copy = () => device.stream.copyOnDevice(target.pointer, source, bytes);
    yield await attempt("copy", async () => {
      const [milliseconds] = await timer.interleave(sizes, [copy]);
      return {
        case: "copy",
        size: `${gibibytes(bytes)} in device memory, read and written`,
        milliseconds: milliseconds!,
        figure: rate(2 * bytes, milliseconds!),
        limit: "itself the limit of the rows below",
        ratio: null,
        target: "",
        met: null,
      };
    });
    for (const [i, fused] of cases.entries()) {
      yield await attempt(`${fused.name}, ${fused.formula}`, () =>
        measure(device, timer, sizes, { fused, output: `out${i}`, shape, copy }),
      );
    }
  } finally {
    await device.dispose();
  }
}

async function measure(
  device: CudaDevice,
  timer: GpuTimer,
  sizes: CudaSizes,
  { fused, output, shape, copy }: { fused: FusedCase; output: string; shape: Shape; copy: () => void },
): Promise<BenchRow> {
  const large = ["x", "y", "z"].slice(0, fused.inputs);
  const made: { shape: Shape } = { shape: [] };
  const program = await device.compile(
    trace({}, () => {
      const tensors = large.map((name) => state(name, shape));
      const result = fused.build(
        tensors,
        ["a", "b"].map((name) => state(name, shape.slice(1))),
      );
      made.shape = result.shape;
      return { outputs: {}, updates: [[state(output, result.shape), result]] };
    }),
  );
  // What rounding could not bring about, so that an element nobody wrote is found.
  const poison = new Float32Array(made.shape.reduce((a, b) => a * b, 1)).fill(1e30);
  await device.createState(output, { shape: made.shape, dtype: "float32" }, poison);
  await program.run({});
  await check(device, fused, { large, output, shape, outShape: made.shape });
  const [copyMs, milliseconds] = await timer.interleave(sizes, [copy, () => program.replay()]);
  await program.dispose();
  const bytes = 4 * (fused.inputs * sizes.elements + poison.length);
  const ratio = bytes / milliseconds! / ((8 * sizes.elements) / copyMs!);
  return {
    case: fused.name,
    size: `${fused.formula}, ${fused.inputs} × ${gibibytes(4 * sizes.elements)} read, rows of ${sizes.rowWidth}`,
    milliseconds: milliseconds!,
    figure: rate(bytes, milliseconds!),
    limit: `${rate(8 * sizes.elements, copyMs!)}, copy`,
    ratio,
    target: `≥ ${TARGET.toFixed(2)}`,
    met: ratio >= TARGET,
  };
}

/** Compares a few rows with float64. @throws Error when one is wrong */
async function check(
  device: CudaDevice,
  fused: FusedCase,
  { large, output, shape, outShape }: { large: string[]; output: string; shape: Shape; outShape: Shape },
): Promise<void> {
  const [rows] = shape as [number, number];
  const sampled = [...new Set([0, 1, rows >> 1, rows - 1])];
  const program = await device.compile(
    trace({}, () => {
      const pick = (name: string, of: Shape) =>
        sampled.map((row) => [`${name} ${row}`, slice(state(name, of), { 0: [row, row + 1] })] as const);
      return {
        outputs: Object.fromEntries([
          ...large.flatMap((name) => pick(name, shape)),
          ...pick(output, outShape),
        ]),
      };
    }),
  );
  const found = await program.run({});
  const vectors = [await device.readState("a"), await device.readState("b")] as Float32Array[];
  await program.dispose();
  for (const row of sampled) {
    const want = fused.expected(
      large.map((name) => found[`${name} ${row}`] as Float32Array),
      vectors,
    );
    const got = found[`${output} ${row}`]!;
    for (const [i, value] of want.entries()) {
      // Written so that NaN is wrong.
      if (!(Math.abs(got[i]! - value) <= TOLERANCE * Math.max(1, Math.abs(value)))) {
        throw new Error(
          `row ${row}, element ${i} of ${fused.formula} is wrong: got ${got[i]}, expected ${value}`,
        );
      }
    }
  }
}

function gibibytes(bytes: number): string {
  return `${Number((bytes / 2 ** 30).toPrecision(3))} GiB`;
}

function rate(bytes: number, milliseconds: number): string {
  return `${Math.round(bytes / milliseconds / 1e6).toLocaleString("en-US")} GB/s`;
}
