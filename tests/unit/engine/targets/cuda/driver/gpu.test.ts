/** @file The driver layer on a GPU: queued work, recordings, errors, matmuls, and that nothing leaks. Skipped without one. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Arena } from "../../../../../../src/engine/targets/cpu/kernels/arena.ts";
import { CudaContext } from "../../../../../../src/engine/targets/cuda/driver/context.ts";
import { Cublas } from "../../../../../../src/engine/targets/cuda/driver/cublas.ts";
import { isCudaAbsent } from "../../../../../../src/engine/targets/cuda/driver/errors.ts";
import { CudaEvent } from "../../../../../../src/engine/targets/cuda/driver/event.ts";
import { KernelCompiler } from "../../../../../../src/engine/targets/cuda/driver/kernelCompiler.ts";
import { liveObjects } from "../../../../../../src/engine/targets/cuda/driver/liveObjects.ts";
import { packArguments, type Kernel } from "../../../../../../src/engine/targets/cuda/driver/module.ts";
import { MatmulLibrary } from "../../../../../../src/engine/targets/cuda/driver/matmul.ts";
import { Stream } from "../../../../../../src/engine/targets/cuda/driver/stream.ts";
import { DeviceAllocator } from "../../../../../../src/engine/targets/cuda/memory/deviceAllocator.ts";
import { HostRegistry, PinnedBuffer } from "../../../../../../src/engine/targets/cuda/memory/pinned.ts";
import type {
  KernelSource,
  MatmulEpilogue,
  MatmulSpec,
} from "../../../../../../src/engine/targets/cuda/plan.ts";

/** Opens the first GPU and all libraries, or says what is missing. */
function open(): { context: CudaContext; compiler: KernelCompiler } | { missing: string } {
  try {
    const context = CudaContext.open();
    return { context, compiler: new KernelCompiler(context, { cacheDirectory }) };
  } catch (error) {
    if (isCudaAbsent(error)) return { missing: error.message };
    throw error;
  }
}

const cacheDirectory = mkdtempSync(join(tmpdir(), "cuda-kernels-"));
afterAll(() => rmSync(cacheDirectory, { recursive: true }));

const scale: KernelSource = {
  name: "scale",
  code: `extern "C" __global__ void scale(float* x, float factor, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) x[i] *= factor;
}`,
};

const needsShared: KernelSource = {
  name: "needsShared",
  code: `extern "C" __global__ void needsShared(int* out, int words) {
  extern __shared__ int shared[];
  for (int i = threadIdx.x; i < words; i += blockDim.x) shared[i] = i;
  __syncthreads();
  if (threadIdx.x == 0) out[0] = shared[words - 1];
}`,
};

const gpu = open();

describe("the driver on a GPU", () => {
  if ("missing" in gpu) {
    test.skip(`works (skipped: ${gpu.missing})`, () => undefined);
    return;
  }
  const { context, compiler } = gpu;
  const before = liveObjects();
  let stream: Stream;
  let allocator: DeviceAllocator;
  let kernel: Kernel;

  beforeAll(async () => {
    stream = new Stream(context);
    allocator = new DeviceAllocator(context);
    kernel = (await compiler.compile([scale]))[0]!;
  });

  afterAll(() => {
    stream.dispose();
    allocator.dispose();
    compiler.dispose();
    context.dispose();
    expect(liveObjects()).toEqual({});
    expect(before).toHaveProperty("context", 1);
  });

  function multiply(pointer: number, factor: number, n: number): void {
    const args = packArguments([
      { kind: "pointer", value: pointer },
      { kind: "float32", value: factor },
      { kind: "int32", value: n },
    ]);
    stream.launch(kernel, [Math.ceil(n / 128), 1, 1], [128, 1, 1], 0, args);
  }

  test("describes the device", () => {
    expect(context.info.name).not.toBe("");
    expect(context.info.arch).toMatch(/^sm_\d+a?$/);
    expect(context.info.multiprocessors).toBeGreaterThan(0);
    expect(context.memory().totalBytes).toBeGreaterThanOrEqual(context.memory().freeBytes);
    expect(() => CudaContext.open(999)).toThrow(expect.objectContaining({ code: "CUDA_NO_DEVICE" }));
  });

  test("copies, computes, copies back, in order, and resolves when done", async () => {
    const n = 1000;
    const x = allocator.allocate(n * 4, "x");
    const y = allocator.allocate(n * 4, "y");
    const event = new CudaEvent(context);
    const host = Float32Array.from({ length: n }, (_, i) => i);
    const back = new Float32Array(n);
    stream.copyToDevice(x.pointer, host, n * 4);
    multiply(x.pointer, 3, n);
    stream.copyOnDevice(y.pointer, x.pointer, n * 4);
    stream.clear(x.pointer, n * 4);
    stream.copyToHost(back, y.pointer, n * 4);
    event.record(stream);
    await event.done();
    expect(event.query()).toBe(true);
    expect(back).toEqual(host.map((v) => v * 3));
    stream.copyToHost(back, x.pointer, n * 4);
    stream.synchronize();
    expect(back.every((v) => v === 0)).toBe(true);
    for (const held of [event, { dispose: () => x.free() }, { dispose: () => y.free() }]) held.dispose();
  });

  test("replays what was recorded, as often as asked", () => {
    const x = allocator.allocate(256, "x");
    const other = new Stream(context);
    const [start, end] = [new CudaEvent(context, { timing: true }), new CudaEvent(context, { timing: true })];
    stream.copyToDevice(x.pointer, new Float32Array(64).fill(1), 256);
    stream.synchronize();
    const graph = stream.capture(() => {
      multiply(x.pointer, 2, 64);
      multiply(x.pointer, 5, 64);
    });
    start.record(stream);
    for (let i = 0; i < 3; i++) graph.launch(stream);
    end.record(stream);
    other.wait(end);
    const back = new Float32Array(64);
    other.copyToHost(back, x.pointer, 256);
    other.synchronize();
    expect(back).toEqual(new Float32Array(64).fill(1000));
    expect(end.elapsedMs(start)).toBeGreaterThanOrEqual(0);
    expect(() =>
      stream.capture(() => {
        throw new Error("while recording");
      }),
    ).toThrow("while recording");
    multiply(x.pointer, 1, 64);
    stream.synchronize();
    graph.dispose();
    other.dispose();
    start.dispose();
    end.dispose();
    x.free();
  });

  test("raises the limit of dynamic shared memory", async () => {
    const shared = (await compiler.compile([needsShared]))[0]!;
    const words = 20_000;
    const out = allocator.allocate(4, "out");
    shared.raiseSharedLimit(words * 4);
    const args = packArguments([
      { kind: "pointer", value: out.pointer },
      { kind: "int32", value: words },
    ]);
    stream.launch(shared, [1, 1, 1], [128, 1, 1], words * 4, args);
    const back = new Int32Array(1);
    stream.copyToHost(back, out.pointer, 4);
    stream.synchronize();
    expect(back[0]).toBe(words - 1);
    expect(shared.attributes.registers).toBeGreaterThan(0);
    expect(() => shared.raiseSharedLimit(2 ** 30)).toThrow(expect.objectContaining({ code: "CUDA_FAILED" }));
    out.free();
  });

  test("survives a refused launch and a request for too much memory", () => {
    expect(() => stream.launch(kernel, [1, 1, 1], [4096, 1, 1], 0, new Uint8Array(16))).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/^CUDA_/) }),
    );
    const held = allocator.allocate(3 << 20, "weights");
    expect(() => allocator.allocate(2 ** 46, "a dream")).toThrow(
      expect.objectContaining({
        code: "CUDA_OUT_OF_MEMORY",
        message: expect.stringMatching(/weights 4\.00 MiB.*got a request of 67108864 MiB for a dream/),
      }),
    );
    multiply(held.pointer, 1, 16);
    stream.synchronize();
    held.free();
  });

  test("copies from and to page-locked memory, also shared", async () => {
    const pinned = new PinnedBuffer(context, 4096);
    const registry = new HostRegistry(context);
    const shared = new Arena(1 << 16).float32;
    // On a heap, where its pages may hold other arrays.
    const heap = new Float32Array(new SharedArrayBuffer(1000));
    const x = allocator.allocate(4096, "x");
    const event = new CudaEvent(context);
    const locked = registry.register(shared.subarray(0, 2048));
    expect(registry.isPinned(shared.subarray(5, 900))).toBe(locked);
    // Overlapping what is locked: the union becomes one.
    expect(registry.register(shared.subarray(1500, 6000))).toBe(locked);
    expect(registry.isPinned(shared.subarray(0, 6000))).toBe(locked);
    expect(registry.register(heap)).toBe(false);
    expect(registry.isPinned(heap)).toBe(false);
    expect(registry.isPinned(new Float32Array(1024))).toBe(false);
    // Locked in part, it is locked as a whole before it is copied.
    expect(registry.isPinned(shared.subarray(5000, 9000))).toBe(locked);
    pinned.float32().forEach((_, i, all) => (all[i] = i));
    stream.copyToDevice(x.pointer, pinned.bytes, 4096);
    multiply(x.pointer, -1, 1024);
    stream.copyToHost(shared.subarray(1000), x.pointer, 4096);
    event.record(stream);
    await event.done();
    expect(shared[1000 + 1023]).toBe(-1023);
    registry.unregisterAll();
    const view = pinned.float32(0, 4);
    pinned.dispose();
    expect(view).toHaveLength(0);
    event.dispose();
    x.free();
  });

  test("leaks nothing over 10,000 steps", () => {
    const settled = liveObjects();
    const pointer = allocator.allocate(4096, "x");
    const { reservedBytes } = allocator.stats();
    for (let i = 0; i < 10_000; i++) {
      const scratch = allocator.allocate(((i % 7) + 1) * 512, "scratch");
      stream.clear(scratch.pointer, 512);
      multiply(pointer.pointer, 1, 8);
      scratch.free();
      if (i % 1000 === 0) {
        const graph = stream.capture(() => multiply(pointer.pointer, 1, 8));
        graph.launch(stream);
        graph.dispose();
      }
    }
    stream.synchronize();
    pointer.free();
    expect(allocator.stats().reservedBytes).toBe(reservedBytes);
    allocator.trim();
    const { "device memory": kept = 0 } = settled;
    expect(liveObjects()["device memory"] ?? 0).toBeLessThanOrEqual(kept);
    expect({ ...liveObjects(), "device memory": 0 }).toEqual({ ...settled, "device memory": 0 });
  });

  describe("matmuls", () => {
    /** Small whole numbers, so that all sums are exact. */
    function whole(length: number, seed: number): Float32Array {
      return Float32Array.from({ length }, (_, i) => ((i * 7 + seed * 13) % 9) - 4);
    }

    function upload(values: Float32Array, offsetBytes = 0): { pointer: number; free(): void } {
      const buffer = allocator.allocate(values.byteLength + offsetBytes, "operand");
      if (values.length > 0) stream.copyToDevice(buffer.pointer + offsetBytes, values, values.byteLength);
      return { pointer: buffer.pointer + offsetBytes, free: () => buffer.free() };
    }

    function download(pointer: number, length: number): Float32Array {
      const values = new Float32Array(length);
      stream.copyToHost(values, pointer, values.byteLength);
      stream.synchronize();
      return values;
    }

    function expected(spec: MatmulSpec, a: Float32Array, b: Float32Array, bias: Float32Array): Float32Array {
      const { m, n, k, batch, strideA, strideB, strideOut, transposeA, transposeB, epilogue } = spec;
      const out = new Float32Array(batch * m * n);
      for (let at = 0; at < batch; at++) {
        for (let i = 0; i < m; i++) {
          for (let j = 0; j < n; j++) {
            let sum = epilogue.startsWith("bias") ? bias[j]! : 0;
            for (let l = 0; l < k; l++) {
              const left = a[at * strideA + (transposeA ? l * m + i : i * k + l)]!;
              sum += left * b[at * strideB + (transposeB ? j * k + l : l * n + j)]!;
            }
            out[at * strideOut + i * n + j] = /relu/i.test(epilogue) ? Math.max(0, sum) : sum;
          }
        }
      }
      return out;
    }

    function specOf(m: number, n: number, k: number, more: Partial<MatmulSpec> = {}): MatmulSpec {
      const types = { dtype: "float32", outDtype: "float32", compute: "float32", epilogue: "none" } as const;
      const strides = { strideA: m * k, strideB: k * n, strideOut: m * n };
      return { m, n, k, batch: 1, ...strides, transposeA: false, transposeB: false, ...types, ...more };
    }

    const epilogues: readonly MatmulEpilogue[] = ["none", "bias", "relu", "biasRelu"];
    const specs: [string, MatmulSpec][] = [
      ["as stored", specOf(24, 40, 16)],
      ["transposed a", specOf(24, 40, 16, { transposeA: true })],
      ["transposed b", specOf(24, 40, 16, { transposeB: true })],
      ["both transposed", specOf(24, 40, 16, { transposeA: true, transposeB: true })],
      ["odd sizes", specOf(7, 3, 5)],
      ["a single column", specOf(33, 1, 17)],
      ["a batch", specOf(8, 12, 4, { batch: 5 })],
      ["a batch with one b", specOf(8, 12, 4, { batch: 5, strideB: 0 })],
      ["a batch with one transposed a", specOf(8, 12, 4, { batch: 5, strideA: 0, transposeA: true })],
      ["no sums", specOf(4, 6, 0)],
      ...epilogues.map((epilogue): [string, MatmulSpec] => [
        `epilogue ${epilogue}`,
        specOf(16, 8, 32, { epilogue }),
      ]),
    ];

    test.each(specs)("%s", (_, spec) => {
      const library = new MatmulLibrary(context, allocator, { cacheDirectory });
      const { m, n, k, batch, strideA, strideB } = spec;
      const a = whole(strideA * (batch - 1) + m * k, 1);
      const b = whole(strideB * (batch - 1) + k * n, 2);
      const bias = whole(n, 3);
      // An address that is a multiple of 4 only gets an algorithm of its own.
      for (const offset of [0, 4, 0]) {
        const matmul = library.prepare(spec);
        const held = [a, b, bias, new Float32Array(batch * m * n)].map((values) => upload(values, offset));
        const [pa, pb, pbias, pout] = held.map(({ pointer }) => pointer);
        matmul.run(stream, pa!, pb!, pbias!, pout!);
        expect(download(pout!, batch * m * n)).toEqual(expected(spec, a, b, bias));
        for (const buffer of held) buffer.free();
        matmul.dispose();
      }
      library.dispose();
    });

    test("recorded and replayed give the same", () => {
      const library = new MatmulLibrary(context, allocator, { cacheDirectory });
      const spec = specOf(16, 24, 8, { epilogue: "bias" });
      const matmul = library.prepare(spec);
      const [a, b, bias] = [whole(16 * 8, 1), whole(8 * 24, 2), whole(24, 3)];
      const held = [a, b, bias, new Float32Array(16 * 24)].map((values) => upload(values));
      const [pa, pb, pbias, pout] = held.map(({ pointer }) => pointer);
      stream.synchronize();
      const graph = stream.capture(() => matmul.run(stream, pa!, pb!, pbias!, pout!));
      graph.launch(stream);
      expect(download(pout!, 16 * 24)).toEqual(expected(spec, a, b, bias));
      graph.dispose();
      for (const buffer of held) buffer.free();
      library.dispose();
    });

    test("of plain cuBLAS are the same", () => {
      using cublas = new Cublas(context, stream);
      for (const batch of [1, 3]) {
        const spec = specOf(12, 20, 8, { batch, transposeB: true });
        const [a, b] = [whole(batch * 12 * 8, 4), whole(batch * 8 * 20, 5)];
        const held = [a, b, new Float32Array(batch * 12 * 20)].map((values) => upload(values));
        const [pa, pb, pout] = held.map(({ pointer }) => pointer);
        const { m, n, k, transposeB, dtype, compute } = spec;
        cublas.gemm({ m, n, k, batch, transposeB, dtype, compute }, pa!, pb!, pout!);
        expect(download(pout!, batch * 12 * 20)).toEqual(expected(spec, a, b, a));
        for (const buffer of held) buffer.free();
      }
    });
  });
});
