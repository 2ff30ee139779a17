/**
 * @file The `cuda` target: NVIDIA GPUs through the driver, cuBLASLt and NVRTC, called from this thread.
 *
 * Calls only start work; a stream keeps it in order and an event tells when it is done, without blocking the thread.
 * States and programs live in device memory from one caching allocator. Element types: all but float64.
 */
import { allocate, checkHostArray, dtypeBytes, type TypedArray } from "../../../base/dtype.ts";
import { ParetoError } from "../../../base/errors.ts";
import { rootsOf, type Graph } from "../../graph/graph.ts";
import type { TensorSpec } from "../../graph/node.ts";
import { reachableNodes } from "../../graph/rewrite.ts";
import { simplify } from "../../passes/simplify.ts";
import {
  checkStateSpec,
  disposedDevice,
  existingState,
  missingState,
  type Device,
  type Precision,
} from "../../program.ts";
import { sizeOf } from "../../../base/shape.ts";
import { lowerGraph } from "./compiler/lowerGraph.ts";
import { CudaProgram } from "./cudaProgram.ts";
import { CudaContext } from "./driver/context.ts";
import { CudaEvent } from "./driver/event.ts";
import type { Kernel } from "./driver/module.ts";
import { KernelCompiler } from "./driver/kernelCompiler.ts";
import { MatmulLibrary, type PreparedMatmul } from "./driver/matmul.ts";
import { Stream } from "./driver/stream.ts";
import { rules } from "./lower/rules.ts";
import { widenHalf } from "./lower/widenHalf.ts";
import { DeviceAllocator, type DeviceBuffer } from "./memory/deviceAllocator.ts";
import { HostRegistry } from "./memory/pinned.ts";
import type { KernelSource, Plan, Step } from "./plan.ts";

/** How a cuda device is opened. */
export interface CudaDeviceOptions {
  /** Arithmetic of float32 matrix products. Defaults to `float32`. */
  precision?: Precision;
}

interface State {
  spec: TensorSpec;
  buffer: DeviceBuffer;
}

/** A device of the `cuda` target. */
export class CudaDevice implements Device {
  readonly target = "cuda";
  readonly context: CudaContext;
  /** Where all work of the device's programs is queued. */
  readonly stream: Stream;
  readonly allocator: DeviceAllocator;
  readonly precision: Precision;
  readonly #compiler: KernelCompiler;
  readonly #matmuls: MatmulLibrary;
  readonly #registry: HostRegistry;
  /** Events that nobody waits for, and all that were made. */
  readonly #idleEvents: CudaEvent[] = [];
  readonly #events: CudaEvent[] = [];
  readonly #waits = new Set<Promise<void>>();
  readonly #states = new Map<string, State>();
  readonly #programs = new Set<CudaProgram>();
  #queue: Promise<unknown> = Promise.resolve();
  #disposed = false;

  private constructor(context: CudaContext, precision: Precision) {
    this.context = context;
    this.precision = precision;
    // First, as it fails where NVRTC is missing; nothing is left behind then.
    this.#compiler = new KernelCompiler(context);
    this.stream = new Stream(context);
    this.allocator = new DeviceAllocator(context);
    this.#matmuls = new MatmulLibrary(context, this.allocator);
    this.#registry = new HostRegistry(context);
  }

  /**
   * Opens the first GPU.
   * @throws ParetoError `CUDA_DRIVER_MISSING`, `CUDA_NO_DEVICE`, `CUDA_LIBRARY_MISSING`, `CUDA_VERSION`
   */
  static async open({ precision = "float32" }: CudaDeviceOptions = {}): Promise<CudaDevice> {
    const context = CudaContext.open();
    try {
      return new CudaDevice(context, precision);
    } catch (error) {
      context.dispose();
      throw error;
    }
  }

  states(): ReadonlyMap<string, TensorSpec> {
    this.assertAlive("states");
    return new Map([...this.#states].map(([name, { spec }]) => [name, spec]));
  }

  async createState(name: string, spec: TensorSpec, values?: TypedArray): Promise<void> {
    this.assertAlive("createState");
    if (this.#states.has(name)) throw existingState(name, "createState");
    requireSupported("createState", spec);
    const length = sizeOf(spec.shape);
    if (values) checkHostArray(`createState ${name}`, values, spec.dtype, length);
    const bytes = length * dtypeBytes(spec.dtype);
    const buffer = this.allocator.allocate(Math.max(1, bytes), `state ${name}`);
    this.#states.set(name, { spec: { shape: [...spec.shape], dtype: spec.dtype }, buffer });
    await this.inOrder(async () => {
      if (bytes === 0) return;
      if (values) this.stream.copyToDevice(buffer.pointer, values, bytes);
      else this.stream.clear(buffer.pointer, bytes);
      await this.finished();
    });
  }

  async readState(name: string): Promise<TypedArray> {
    const { spec, buffer } = this.#state(name, "readState");
    const values = allocate(spec.dtype, sizeOf(spec.shape));
    return this.inOrder(async () => {
      if (values.byteLength > 0) this.stream.copyToHost(values, buffer.pointer, values.byteLength);
      await this.finished();
      return values;
    });
  }

  async writeState(name: string, values: TypedArray): Promise<void> {
    const { spec, buffer } = this.#state(name, "writeState");
    checkHostArray(`writeState ${name}`, values, spec.dtype, sizeOf(spec.shape));
    await this.inOrder(async () => {
      if (values.byteLength > 0) this.stream.copyToDevice(buffer.pointer, values, values.byteLength);
      await this.finished();
    });
  }

  /** @param options.isQueued the program will be queued, not run: it takes no memory of its own for that */
  async compile(graph: Graph, { isQueued = false }: { isQueued?: boolean } = {}): Promise<CudaProgram> {
    this.assertAlive("compile");
    const plan = this.plan(graph);
    const launches = plan.steps.filter((step) => step.kind === "kernel");
    const compiled = await this.#compiler.compile(launches.map((step) => step.source));
    const kernels = new Map(launches.map((step, i): [Step, Kernel] => [step, compiled[i]!]));
    // Equal matmuls, such as those of a loop's turns, are one.
    const prepared = new Map<string, PreparedMatmul>();
    const matmuls = new Map<Step, PreparedMatmul>();
    try {
      for (const step of plan.steps) {
        if (step.kind !== "matmul") continue;
        const key = JSON.stringify(step.spec);
        if (!prepared.has(key)) prepared.set(key, this.#matmuls.prepare(step.spec));
        matmuls.set(step, prepared.get(key)!);
      }
      this.assertAlive("compile");
      const program = new CudaProgram(this, { graph, plan, kernels, matmuls, isQueued });
      this.#programs.add(program);
      return program;
    } catch (error) {
      for (const matmul of prepared.values()) matmul.dispose();
      throw error;
    }
  }

  /** The steps that a graph becomes here. */
  plan(graph: Graph): Plan {
    const simple = simplify(widenHalf(graph));
    for (const node of reachableNodes(rootsOf(simple))) {
      for (const t of node.outputs) requireSupported("compile", t);
    }
    const { multiprocessors, maxSharedBytes, arch } = this.context.info;
    return lowerGraph(simple, { multiprocessors, maxSharedBytes, arch, compute: this.precision, rules });
  }

  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    await this.#queue.catch(() => undefined);
    await Promise.allSettled(this.#waits);
    for (const program of this.#programs) program.release();
    for (const { buffer } of this.#states.values()) buffer.free();
    this.#states.clear();
    this.#registry.unregisterAll();
    this.#matmuls.dispose();
    this.#compiler.dispose();
    for (const event of this.#events) event.dispose();
    this.allocator.dispose();
    this.stream.dispose();
    this.context.dispose();
  }

  /** Compiles kernels for use on this device, in their order. */
  kernels(sources: readonly KernelSource[]): Promise<Kernel[]> {
    return this.#compiler.compile(sources);
  }

  /** Page-locks host memory that will be fed or read into often: it is then copied straight, and asynchronously. */
  pin(array: TypedArray): void {
    this.#registry.register(array);
  }

  /** Whether an array lies in page-locked memory. */
  isPinned(array: TypedArray): boolean {
    return this.#registry.isPinned(array);
  }

  /** Address of a state. @throws ParetoError `STATE_MISSING`, `STATE_SPEC` when it is not as `wanted` */
  statePointer(name: string, wanted?: TensorSpec): number {
    const { spec, buffer } = this.#state(name, "Program.run");
    if (wanted) checkStateSpec(name, wanted, spec);
    return buffer.pointer;
  }

  /** Does work after all that was asked for before. */
  inOrder<T>(work: () => T | Promise<T>): Promise<T> {
    const done = this.#queue.then(work);
    this.#queue = done.catch(() => undefined);
    return done;
  }

  /** Resolves when all work queued so far is done. */
  finished(): Promise<void> {
    let event = this.#idleEvents.pop();
    if (!event) {
      event = new CudaEvent(this.context);
      this.#events.push(event);
    }
    event.record(this.stream);
    const wait = event.done().finally(() => {
      this.#idleEvents.push(event);
      this.#waits.delete(wait);
    });
    this.#waits.add(wait);
    return wait;
  }

  /** Forgets a program that was freed. */
  forget(program: CudaProgram): void {
    this.#programs.delete(program);
  }

  /** @throws ParetoError `DEVICE_DISPOSED` */
  assertAlive(where: string): void {
    if (this.#disposed) throw disposedDevice(where);
  }

  #state(name: string, where: string): State {
    this.assertAlive(where);
    const state = this.#states.get(name);
    if (!state) throw missingState(name, where);
    return state;
  }
}

function requireSupported(where: string, { dtype }: TensorSpec): void {
  if (dtype !== "float64") return;
  throw new ParetoError({
    code: "TARGET_UNSUPPORTED",
    where,
    message: `${where}: the cuda target has no double precision, got ${dtype}`,
    fix: 'Use float32, or open the device "reference" for float64.',
  });
}
