/** @file What the `cuda` target reaches on this machine: products, copies, the bus, launches; results are checked. */
import { CudaDevice, packArguments, PinnedBuffer } from "../targets/cuda/index.ts";
import { check, type Check } from "./check.ts";
import { DeviceMatmuls, matmulKinds, type MatmulKind } from "./deviceMatmuls.ts";
import { GpuTimer, type Sampling } from "./gpuTimer.ts";

/** What is measured; tests make it small. */
export interface CudaProbe {
  /** Edge of the matmuls. */
  width: number;
  /** Bytes copied. */
  bytes: number;
  sampling: Sampling;
  launches: number;
}

const fullProbe: CudaProbe = {
  width: 4096,
  bytes: 256 * 2 ** 20,
  sampling: { rounds: 9, sampleMs: 5 },
  launches: 1000,
};

/** Sets of operands: what a product reads is then seldom left in the cache by the one before. */
const SETS = 2;
const KERNELS = 100;

/** Products in every type, copy and bus bandwidth, launch latency. */
export async function rateChecks(probe: CudaProbe = fullProbe): Promise<Check[]> {
  const checks: Check[] = [];
  for (const kind of matmulKinds) {
    checks.push(await check(`matrix product ${kind.name}`, () => matmulRate(kind, probe)));
  }
  const one = async (name: string, make: (device: CudaDevice) => ReturnType<typeof matmulRate>) =>
    checks.push(
      await check(name, async () => {
        const device = await CudaDevice.open();
        try {
          return await make(device);
        } finally {
          await device.dispose();
        }
      }),
    );
  await one("copy bandwidth", (device) => copies(device, probe, "device"));
  await one("bus to the gpu", (device) => copies(device, probe, "in"));
  await one("bus from the gpu", (device) => copies(device, probe, "out"));
  await one("launch", (device) => launches(device, probe, false));
  await one("graph launch", (device) => launches(device, probe, true));
  return checks;
}

async function matmulRate(kind: MatmulKind, { width, sampling }: CudaProbe) {
  const device = await CudaDevice.open({ precision: kind.precision });
  try {
    using timer = new GpuTimer(device);
    const matmuls = await DeviceMatmuls.create(device, kind, { width, sets: SETS });
    const [milliseconds] = await timer.interleave(sampling, [() => matmuls.program.replay()]);
    return {
      ok: true,
      value: matmuls.flop / milliseconds! / 1e9,
      unit: "TFLOP/s",
      detail: `${width}³ by cuBLASLt in a replayed graph; sampled elements agree with float64.`,
    };
  } finally {
    await device.dispose();
  }
}

async function copies(device: CudaDevice, { bytes, sampling }: CudaProbe, way: "in" | "device" | "out") {
  const { stream } = device;
  using timer = new GpuTimer(device);
  const host = new PinnedBuffer(device.context, bytes);
  try {
    const words = host.int32();
    const fill = (seed: number) => {
      for (let i = 0; i < words.length; i++) words[i] = Math.imul(i, 0x9e3779b1) ^ seed;
    };
    const [first, second] = ["a", "b"].map((name) => device.allocator.allocate(bytes, name).pointer);
    const tasks = {
      in: () => stream.copyToDevice(first!, host.bytes, bytes),
      device: () => stream.copyOnDevice(second!, first!, bytes),
      out: () => stream.copyToHost(host.bytes, second!, bytes),
    };
    fill(7);
    tasks.in();
    tasks.device();
    await device.finished();
    const [milliseconds] = await timer.interleave(sampling, [tasks[way]]);
    // Back on the host in place of other numbers, so that a copy that did nothing shows.
    words.fill(0);
    tasks.out();
    await device.finished();
    let wrong = 0;
    for (let i = 0; i < words.length; i++) if (words[i] !== (Math.imul(i, 0x9e3779b1) ^ 7)) wrong++;
    const moved = way === "device" ? 2 * bytes : bytes;
    const size = `${bytes / 2 ** 20} MiB`;
    const right = wrong === 0 ? "every word came back right" : `${wrong} words came back wrong`;
    return {
      ok: wrong === 0,
      value: moved / milliseconds! / 1e6,
      unit: "GB/s",
      detail: `${way === "device" ? `${size} in device memory, bytes read and written` : `${size} of page-locked memory`}; ${right}.`,
    };
  } finally {
    host.dispose();
  }
}

async function launches(device: CudaDevice, { launches: count }: CudaProbe, isGraph: boolean) {
  const { stream } = device;
  const [kernel] = await device.kernels([
    { name: "nothing", code: 'extern "C" __global__ void nothing() {}\n' },
  ]);
  const none = packArguments([]);
  const launch = () => stream.launch(kernel!, [1, 1, 1], [1, 1, 1], 0, none);
  const recorded = (kernels: number) =>
    stream.capture(() => {
      for (let i = 0; i < kernels; i++) launch();
    });
  const [single, many] = [recorded(1), recorded(KERNELS)];
  try {
    const start = isGraph ? () => single.launch(stream) : launch;
    const roundTrips: number[] = [];
    for (let i = 0; i < count; i++) {
      const from = performance.now();
      start();
      stream.synchronize();
      roundTrips.push(1000 * (performance.now() - from));
    }
    const from = performance.now();
    if (isGraph) for (let i = 0; i < count / KERNELS; i++) many.launch(stream);
    else for (let i = 0; i < count; i++) launch();
    stream.synchronize();
    const each = (1000 * (performance.now() - from)) / (Math.ceil(count / KERNELS) * KERNELS);
    const median = roundTrips.toSorted((a, b) => a - b)[count >> 1]!;
    return {
      ok: true,
      value: median,
      unit: "µs",
      detail: isGraph
        ? `From replaying a graph of one empty kernel to knowing that it is done; ${each.toFixed(2)} µs a kernel in graphs of ${KERNELS}.`
        : `From launching an empty kernel to knowing that it is done; ${each.toFixed(2)} µs a kernel when ${count} are queued.`,
    };
  } finally {
    single.dispose();
    many.dispose();
  }
}
