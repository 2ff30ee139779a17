/**
 * @file Matrix products through compiled programs against plain cuBLAS calls on the same operands, timed in turn on
 * one stream. Four sets of operands, so that a product does not find the last one's in the cache.
 */
import { trace } from "../../src/engine/graph/graph.ts";
import { matmul } from "../../src/engine/graph/ops/contraction.ts";
import { state } from "../../src/engine/graph/ops/leaf.ts";
import { numbersOf } from "../../src/engine/half.ts";
import type { Precision } from "../../src/engine/program.ts";
import { CudaDevice } from "../../src/engine/targets/cuda/cudaDevice.ts";
import { Cublas } from "../../src/engine/targets/cuda/driver/cublas.ts";
import type { BenchRow } from "../measure.ts";
import { GpuTimer } from "./gpuTiming.ts";
import { attempt } from "./groups.ts";
import { createUniform } from "./inputs.ts";
import type { CudaSizes } from "./sizes.ts";

interface Kind {
  name: string;
  dtype: "float32" | "bfloat16";
  precision: Precision;
  /** Largest error of an element over √K, operands being uniform in [−1, 1). */
  tolerance: number;
}

const kinds: readonly Kind[] = [
  { name: "bf16", dtype: "bfloat16", precision: "float32", tolerance: 4e-3 },
  { name: "tf32", dtype: "float32", precision: "tf32", tolerance: 1e-3 },
  { name: "f32", dtype: "float32", precision: "float32", tolerance: 1e-5 },
];

const SETS = 4;
const SAMPLES = 16;
const TARGET = 0.95;

/** A row for each kind of product. */
export async function* productRows(sizes: CudaSizes): AsyncGenerator<BenchRow, void, undefined> {
  for (const kind of kinds) yield await attempt(`matrix product ${kind.name}`, () => measure(kind, sizes));
}

async function measure(kind: Kind, sizes: CudaSizes): Promise<BenchRow> {
  const n = sizes.productWidth;
  const device = await CudaDevice.open({ precision: kind.precision });
  try {
    using timer = new GpuTimer(device);
    const { program, flop } = await compileProducts(device, kind, n);
    await program.run({});
    await checkProduct(device, kind, n);
    using cublas = new Cublas(device.context, device.stream);
    const peers = Array.from({ length: SETS }, (_, set) => {
      const [a, b, c] = ["a", "b", "peer"].map((name) => device.statePointer(`${name}${set}`));
      return () => cublas.gemm({ m: n, n, k: n, dtype: kind.dtype, compute: kind.precision }, a!, b!, c!);
    });
    const [own, peer] = await timer.interleave(sizes, [
      () => program.replay(),
      () => peers.forEach((multiply) => multiply()),
    ]);
    const rate = (milliseconds: number) => (SETS * flop) / milliseconds / 1e9;
    const ratio = peer! / own!;
    return {
      case: `matrix product ${kind.name}`,
      size: `${n}³, ${SETS} sets of operands`,
      milliseconds: own! / SETS,
      figure: `${rate(own!).toFixed(1)} TFLOP/s`,
      limit: `${rate(peer!).toFixed(1)} TFLOP/s, cuBLAS`,
      ratio,
      target: `≥ ${TARGET.toFixed(2)}`,
      met: ratio >= TARGET,
    };
  } finally {
    await device.dispose();
  }
}

/** States a0 … and b0 …, and a program that writes their products to c0 …; peer0 … are for cuBLAS. */
async function compileProducts(device: CudaDevice, { dtype }: Pick<Kind, "dtype">, n: number) {
  const sets = Array.from({ length: SETS }, (_, set) => set);
  const shape = [n, n];
  await createUniform(
    device,
    sets.flatMap((set) => [`a${set}`, `b${set}`]),
    { shape, dtype },
  );
  for (const set of sets) {
    await device.createState(`c${set}`, { shape, dtype });
    await device.createState(`peer${set}`, { shape, dtype });
  }
  const graph = trace({}, () => ({
    outputs: {},
    updates: sets.map((set) => {
      const [a, b, c] = ["a", "b", "c"].map((name) => state(`${name}${set}`, shape, dtype));
      return [c!, matmul(a!, b!)] as const;
    }),
  }));
  return { program: await device.compile(graph), flop: 2 * n ** 3 };
}

/** Compares elements of the last set with float64. @throws Error when one is wrong */
async function checkProduct(device: CudaDevice, kind: Kind, n: number): Promise<void> {
  const last = SETS - 1;
  const read = async (name: string) => numbersOf(await device.readState(`${name}${last}`), kind.dtype);
  const [a, b, c] = [await read("a"), await read("b"), await read("c")];
  for (let sample = 0; sample < SAMPLES; sample++) {
    const at = Math.floor(((n * n - 1) * sample) / (SAMPLES - 1));
    const [row, column] = [Math.floor(at / n), at % n];
    let want = 0;
    for (let k = 0; k < n; k++) want += a[row * n + k]! * b[k * n + column]!;
    const error = Math.abs(c[at]! - want) / Math.sqrt(n);
    // Written so that NaN is wrong.
    if (!(error <= kind.tolerance)) {
      throw new Error(`element ${at} of a ${kind.name} product is wrong: got ${c[at]}, expected ${want}`);
    }
  }
}

/** Rate of bf16 products, the limit of attention, in TFLOP/s. */
export async function bfloat16Rate(device: CudaDevice, sizes: CudaSizes): Promise<() => void> {
  const { program } = await compileProducts(device, { dtype: "bfloat16" }, sizes.productWidth);
  await program.run({});
  return () => program.replay();
}
