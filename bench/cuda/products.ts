/**
 * @file Matrix products through compiled programs against plain cuBLAS calls on the same operands, timed in turn on
 * one stream. Four sets of operands, so that a product does not find the last one's in the cache.
 */
import { DeviceMatmuls, matmulKinds, type MatmulKind } from "../../src/engine/doctor/deviceMatmuls.ts";
import { GpuTimer } from "../../src/engine/doctor/gpuTimer.ts";
import { Cublas, CudaDevice } from "../../src/engine/targets/cuda/index.ts";
import type { CudaSizes } from "./sizes.ts";
import { attempt, type BenchRow } from "../harness/rows.ts";

const SETS = 4;
const TARGET = 0.95;

/** A row for each kind of product. */
export async function* productRows(sizes: CudaSizes): AsyncGenerator<BenchRow, void, undefined> {
  for (const kind of matmulKinds) {
    yield await attempt(`matrix product ${kind.name}`, () => measure(kind, sizes));
  }
}

async function measure(kind: MatmulKind, sizes: CudaSizes): Promise<BenchRow> {
  const n = sizes.productWidth;
  const device = await CudaDevice.open({ precision: kind.precision });
  try {
    using timer = new GpuTimer(device);
    const products = await DeviceMatmuls.create(device, kind, { width: n, sets: SETS });
    using cublas = new Cublas(device.context, device.stream);
    const peers: (() => void)[] = [];
    for (let set = 0; set < SETS; set++) {
      await device.createState(`peer${set}`, { shape: [n, n], dtype: kind.dtype });
      const [a, b, c] = ["a", "b", "peer"].map((name) => device.statePointer(`${name}${set}`));
      const spec = { m: n, n, k: n, dtype: kind.dtype, compute: kind.precision };
      peers.push(() => cublas.gemm(spec, a!, b!, c!));
    }
    const [own, peer] = await timer.interleave(sizes, [
      () => products.program.replay(),
      () => peers.forEach((multiply) => multiply()),
    ]);
    const rate = (milliseconds: number) => products.flop / milliseconds / 1e9;
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
