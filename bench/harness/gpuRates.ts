/** @file What limits a model on this GPU, measured in the same run: reading memory, and multiplying in bf16. */
import { DeviceMatmuls, matmulKinds } from "../../src/engine/doctor/deviceMatmuls.ts";
import { GpuTimer } from "../../src/engine/doctor/gpuTimer.ts";
import { createUniform } from "../../src/engine/doctor/uniformStates.ts";
import { trace } from "../../src/engine/graph/graph.ts";
import { sum } from "../../src/engine/graph/ops/movement.ts";
import { state } from "../../src/engine/graph/ops/leaf.ts";
import { CudaDevice } from "../../src/engine/targets/cuda/index.ts";

/** Limits of a GPU. */
export interface GpuRates {
  /** Bytes a second: the better of a copy, counted twice, and of a sum that only reads. */
  bandwidth: number;
  /** bf16 products with float32 sums, operations a second. */
  products: number;
}

/** Measures the limits. */
export async function gpuRates(isSmall: boolean): Promise<GpuRates> {
  return { bandwidth: await bandwidth(isSmall), products: await products(isSmall) };
}

async function bandwidth(isSmall: boolean): Promise<number> {
  const shape = isSmall ? [256, 64] : [65_536, 8192];
  const bytes = 4 * shape[0]! * shape[1]!;
  const device = await CudaDevice.open();
  try {
    using timer = new GpuTimer(device);
    await createUniform(device, ["a", "b"], { shape, dtype: "float32" });
    const reading = await device.compile(trace({}, () => ({ outputs: { sums: sum(state("a", shape), 1) } })));
    const [from, to] = [device.statePointer("a"), device.statePointer("b")];
    const [read, copy] = await timer.interleave({ rounds: 5, sampleMs: 10 }, [
      () => reading.replay(),
      () => device.stream.copyOnDevice(to, from, bytes),
    ]);
    return Math.max(bytes / read!, (2 * bytes) / copy!) * 1e3;
  } finally {
    await device.dispose();
  }
}

async function products(isSmall: boolean): Promise<number> {
  const kind = matmulKinds.find(({ name }) => name === "bf16")!;
  const device = await CudaDevice.open({ precision: kind.precision });
  try {
    using timer = new GpuTimer(device);
    const made = await DeviceMatmuls.create(device, kind, { width: isSmall ? 64 : 8192, sets: 2 });
    const [milliseconds] = await timer.interleave({ rounds: 5, sampleMs: 20 }, [() => made.program.replay()]);
    return (made.flop / milliseconds!) * 1e3;
  } finally {
    await device.dispose();
  }
}
