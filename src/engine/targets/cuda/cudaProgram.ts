/**
 * @file A plan on a device: its memory, its compiled kernels and chosen matmuls, and a run as one replayed CUDA
 * graph between the copies of what is fed and what is read back.
 *
 * Host arrays that the device has page-locked are copied straight; others pass through a page-locked block of the
 * program's own. Tensors of the device are used where they lie: each set of such places has a recorded graph.
 */
import { allocate, dtypeBytes, viewBytes, type TypedArray } from "../../../base/dtype.ts";
import { stateName, type Graph } from "../../graph/graph.ts";
import type { TensorSpec } from "../../graph/node.ts";
import {
  checkFeeds,
  checkReceivers,
  DeviceTensor,
  disposedProgram,
  type BoundTensors,
  type HostTensors,
  type Program,
} from "../../program.ts";
import { tensorBytes } from "../../../base/shape.ts";
import type { CudaContext } from "./driver/context.ts";
import { CudaEvent } from "./driver/event.ts";
import type { Kernel } from "./driver/module.ts";
import type { PreparedMatmul } from "./driver/matmul.ts";
import { packArguments } from "./driver/module.ts";
import type { CapturedGraph, Stream } from "./driver/stream.ts";
import type { DeviceAllocator, DeviceBuffer } from "./memory/deviceAllocator.ts";
import { PinnedBuffer } from "./memory/pinned.ts";
import { blockBytes, layOutBuffers, viewsOf, type BufferRange } from "./programBuffers.ts";
import type { BufferView, Plan, PlanBuffer, Step } from "./plan.ts";

/** Arrays beyond this size are copied from and to pageable memory rather than kept twice. */
const STAGED_BYTES_MAX = 32 * 2 ** 20;
/** Recorded graphs kept; one for each set of device tensors that a program is used with. */
const GRAPHS_MAX = 16;

/** What a program needs of the device that compiled it; `CudaDevice` documents each. */
export interface ProgramDevice {
  readonly context: CudaContext;
  readonly stream: Stream;
  readonly allocator: DeviceAllocator;
  assertAlive(where: string): void;
  statePointer(name: string, wanted?: TensorSpec): number;
  isPinned(array: TypedArray): boolean;
  inOrder<T>(work: () => T | Promise<T>): Promise<T>;
  finished(): Promise<void>;
  forget(program: CudaProgram): void;
}

/** What a compiled plan is made of. */
export interface ProgramParts {
  graph: Graph;
  plan: Plan;
  kernels: ReadonlyMap<Step, Kernel>;
  /** Freed with the program; steps may share one. */
  matmuls: ReadonlyMap<Step, PreparedMatmul>;
  /** Memory for runs is allocated at the first one, as the program may only ever be queued. */
  isQueued?: boolean;
}

/** Where a queued program's tensors lie, as addresses of the device. */
export interface ProgramPlaces {
  /** {@link CudaProgram.arenaBytes} for the program's own use while it runs; programs that run in turn may share it. */
  arena: number;
  inputs: Readonly<Record<string, number>>;
  outputs: Readonly<Record<string, number>>;
  /** Of a state by its name in the graph; another state of the same shape may stand for it. */
  state: (name: string) => number;
}

/** What finds a view's address. */
type Locate = (view: BufferView) => number;

/** Memory for runs; a program that is only queued has none. */
interface RunMemory {
  arena: number;
  inputs: number;
  outputs: number;
}

/** A run that is queued: `finish` gives its outputs once `finished` has resolved. */
interface Started {
  finish: () => HostTensors;
  finished: Promise<void>;
}

/** A compiled graph of the `cuda` target. */
export class CudaProgram implements Program {
  readonly #device: ProgramDevice;
  readonly #parts: ProgramParts;
  readonly #inputs: Map<string, BufferRange>;
  readonly #outputs: Map<string, BufferRange>;
  readonly #constants = new Map<PlanBuffer, DeviceBuffer>();
  readonly #memory: DeviceBuffer[] = [];
  #runMemory: RunMemory | undefined;
  readonly #graphs = new Map<string, CapturedGraph>();
  #staging: PinnedBuffer | undefined;
  #disposed = false;

  constructor(device: ProgramDevice, parts: ProgramParts) {
    this.#device = device;
    this.#parts = parts;
    const { graph, plan } = parts;
    this.#inputs = layOutBuffers(Object.entries(graph.inputs).map(([name, t]) => [name, tensorBytes(t)]));
    this.#outputs = layOutBuffers(Object.entries(plan.outputs).map(([name, { bytes }]) => [name, bytes]));
    try {
      if (!parts.isQueued) this.#memoryOfRuns();
      for (const step of plan.steps) for (const view of viewsOf(step)) this.#uploadConstant(view.buffer);
      for (const { view } of Object.values(plan.outputs)) this.#uploadConstant(view.buffer);
    } catch (error) {
      for (const buffer of this.#memory) buffer.free();
      throw error;
    }
  }

  /** The steps that a run replays. */
  get plan(): Plan {
    return this.#parts.plan;
  }

  /** Bytes of scratch memory that the steps need. */
  get arenaBytes(): number {
    return this.#parts.plan.arenaBytes;
  }

  /**
   * Queues the steps on the device's stream, which may be recording, over memory of the caller's: many programs, or one
   * many times with other states, then make one recorded graph.
   */
  queue(places: ProgramPlaces): void {
    const { plan } = this.#parts;
    const at: Locate = ({ buffer, offsetBytes }) => {
      switch (buffer.kind) {
        case "input":
          return places.inputs[buffer.name]! + offsetBytes;
        case "output":
          return places.outputs[buffer.name]! + offsetBytes;
        case "state":
          return places.state(buffer.name) + offsetBytes;
        case "constant":
          return this.#constants.get(buffer)!.pointer + offsetBytes;
        case "scratch":
          return places.arena + plan.offsets.get(buffer)! + offsetBytes;
      }
    };
    for (const step of plan.steps) this.#perform(step, at);
    for (const [name, { view, bytes }] of Object.entries(plan.outputs)) {
      const [from, to] = [at(view), places.outputs[name]!];
      if (from !== to && bytes > 0) this.#device.stream.copyOnDevice(to, from, bytes);
    }
  }

  async run(feeds: BoundTensors, into: BoundTensors = {}): Promise<HostTensors> {
    this.#device.assertAlive("Program.run");
    if (this.#disposed) throw disposedProgram("Program.run");
    const { graph } = this.#parts;
    checkFeeds(graph, feeds, "cuda");
    checkReceivers(graph, into, "cuda");
    for (const t of graph.states) this.#device.statePointer(stateName(t), t);
    const { finish, finished } = await this.#device.inOrder(() => this.#start(feeds, into));
    await finished;
    return finish();
  }

  /** Starts the run's work on the device's stream without copies; for measuring. Inputs keep their last elements. */
  replay(): void {
    this.#graphFor({}, {}).launch(this.#device.stream);
  }

  /**
   * The time of each step alone, in milliseconds, over `repeats` launches in a row: what an operand that fits the
   * cache gains from that is in it. States change as in as many runs.
   */
  profile(repeats = 10): { label: string; milliseconds: number }[] {
    const { context, stream } = this.#device;
    const [start, end] = [new CudaEvent(context, { timing: true }), new CudaEvent(context, { timing: true })];
    try {
      return this.#parts.plan.steps.map((step) => {
        const graph = stream.capture(() => {
          for (let i = 0; i < repeats; i++) this.#perform(step, (view) => this.#pointer(view, {}, {}));
        });
        graph.launch(stream);
        start.record(stream);
        graph.launch(stream);
        end.record(stream);
        stream.synchronize();
        graph.dispose();
        const label = step.kind === "kernel" || step.kind === "matmul" ? step.label : step.kind;
        return { label, milliseconds: end.elapsedMs(start) / repeats };
      });
    } finally {
      start.dispose();
      end.dispose();
    }
  }

  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    await this.#device.inOrder(async () => {
      await this.#device.finished();
      this.release();
    });
  }

  /** Frees what the program holds, at once. */
  release(): void {
    this.#disposed = true;
    for (const graph of this.#graphs.values()) graph.dispose();
    this.#graphs.clear();
    for (const matmul of this.#parts.matmuls.values()) matmul.dispose();
    for (const buffer of this.#memory.splice(0)) buffer.free();
    this.#staging?.dispose();
    this.#staging = undefined;
    this.#device.forget(this);
  }

  /**
   * Queues a run. The next one may be queued while it goes on, unless the page-locked block is in use: then the result
   * comes when the run is done.
   */
  #start(feeds: BoundTensors, into: BoundTensors): Started | Promise<Started> {
    const { stream } = this.#device;
    const stagesIn = this.#copyIn(feeds);
    this.#graphFor(feeds, into).launch(stream);
    const { finish, stagesOut } = this.#copyOut(feeds, into);
    const finished = this.#device.finished();
    // It is awaited later; a failure before then must not count as unhandled.
    finished.catch(() => undefined);
    if (!stagesIn && !stagesOut) return { finish, finished };
    return finished.then(() => {
      const results = finish();
      return { finish: () => results, finished };
    });
  }

  /** @returns whether anything passes through the page-locked block */
  #copyIn(feeds: BoundTensors): boolean {
    const { stream } = this.#device;
    let [from, to] = [Number.POSITIVE_INFINITY, 0];
    const direct: [TypedArray, BufferRange][] = [];
    for (const [name, value] of Object.entries(feeds)) {
      const range = this.#inputs.get(name)!;
      if (value instanceof DeviceTensor || range.bytes === 0) continue;
      if (range.bytes > STAGED_BYTES_MAX || this.#device.isPinned(value)) {
        direct.push([value, range]);
        continue;
      }
      this.#stage().bytes.set(viewBytes(value), range.offset);
      from = Math.min(from, range.offset);
      to = Math.max(to, range.offset + range.bytes);
    }
    // Inputs lie by size, so the staged ones are neighbours and cross in one copy; the others overwrite theirs.
    if (from < to) {
      stream.copyToDevice(
        this.#memoryOfRuns().inputs + from,
        this.#stage().bytes.subarray(from, to),
        to - from,
      );
    }
    for (const [value, { offset, bytes }] of direct)
      stream.copyToDevice(this.#memoryOfRuns().inputs + offset, value, bytes);
    return from < to;
  }

  /** Starts the copies of outputs; `finish` is called when they are done. */
  #copyOut(feeds: BoundTensors, into: BoundTensors): { finish: Started["finish"]; stagesOut: boolean } {
    const { stream } = this.#device;
    const { plan } = this.#parts;
    const results: HostTensors = {};
    const staged: [TypedArray, BufferRange][] = [];
    for (const [name, { view, dtype, bytes }] of Object.entries(plan.outputs)) {
      const pointer = this.#pointer(view, feeds, into);
      const given = into[name];
      if (given instanceof DeviceTensor) {
        if (given.pointer !== pointer && bytes > 0) stream.copyOnDevice(given.pointer, pointer, bytes);
        continue;
      }
      const array = given ?? allocate(dtype, bytes / dtypeBytes(dtype));
      results[name] = array;
      if (bytes === 0) continue;
      if (bytes > STAGED_BYTES_MAX || this.#device.isPinned(array)) {
        stream.copyToHost(array, pointer, bytes);
        continue;
      }
      const range = this.#outputs.get(name)!;
      const at = blockBytes(this.#inputs) + range.offset;
      stream.copyToHost(this.#stage().bytes.subarray(at, at + bytes), pointer, bytes);
      staged.push([array, { offset: at, bytes }]);
    }
    const finish = () => {
      for (const [array, { offset, bytes }] of staged) {
        viewBytes(array).set(this.#staging!.bytes.subarray(offset, offset + bytes));
      }
      return results;
    };
    return { finish, stagesOut: staged.length > 0 };
  }

  #graphFor(feeds: BoundTensors, into: BoundTensors): CapturedGraph {
    const places = [feeds, into].map((tensors) =>
      Object.entries(tensors).flatMap(([name, t]) =>
        t instanceof DeviceTensor ? [`${name} ${t.pointer}`] : [],
      ),
    );
    const key = JSON.stringify(places);
    let graph = this.#graphs.get(key);
    if (!graph) {
      if (this.#graphs.size >= GRAPHS_MAX) {
        const [oldest, unused] = this.#graphs.entries().next().value!;
        this.#graphs.delete(oldest);
        unused.dispose();
      }
      graph = this.#device.stream.capture(() => {
        for (const step of this.#parts.plan.steps)
          this.#perform(step, (view) => this.#pointer(view, feeds, into));
      });
      this.#graphs.set(key, graph);
    }
    return graph;
  }

  #perform(step: Step, at: Locate): void {
    const { stream } = this.#device;
    switch (step.kind) {
      case "kernel": {
        const values = step.arguments.map((argument) =>
          argument.kind === "buffer"
            ? { kind: "pointer" as const, value: at(argument.view) }
            : { kind: argument.kind, value: argument.value },
        );
        const kernel = this.#parts.kernels.get(step)!;
        if (step.sharedBytes > 0) kernel.raiseSharedLimit(step.sharedBytes);
        stream.launch(kernel, step.grid, step.block, step.sharedBytes, packArguments(values));
        return;
      }
      case "matmul":
        this.#parts.matmuls
          .get(step)!
          .run(stream, at(step.a), at(step.b), step.bias ? at(step.bias) : 0, at(step.out));
        return;
      case "copy":
        stream.copyOnDevice(at(step.to), at(step.from), step.bytes);
        return;
      case "clear":
        stream.clear(at(step.to), step.bytes);
    }
  }

  #pointer({ buffer, offsetBytes }: BufferView, feeds: BoundTensors, into: BoundTensors): number {
    const given =
      buffer.kind === "input" ? feeds[buffer.name] : buffer.kind === "output" ? into[buffer.name] : null;
    if (given instanceof DeviceTensor) return given.pointer + offsetBytes;
    switch (buffer.kind) {
      case "input":
        return this.#memoryOfRuns().inputs + this.#inputs.get(buffer.name)!.offset + offsetBytes;
      case "output":
        return this.#memoryOfRuns().outputs + this.#outputs.get(buffer.name)!.offset + offsetBytes;
      case "state":
        return this.#device.statePointer(buffer.name) + offsetBytes;
      case "constant":
        return this.#constants.get(buffer)!.pointer + offsetBytes;
      case "scratch":
        return this.#memoryOfRuns().arena + this.#parts.plan.offsets.get(buffer)! + offsetBytes;
    }
  }

  #stage(): PinnedBuffer {
    const bytes = blockBytes(this.#inputs) + blockBytes(this.#outputs);
    this.#staging ??= new PinnedBuffer(this.#device.context, bytes);
    return this.#staging;
  }

  #uploadConstant(buffer: PlanBuffer): void {
    if (buffer.kind !== "constant" || this.#constants.has(buffer)) return;
    const memory = this.#device.allocator.allocate(Math.max(1, buffer.bytes), "program constants");
    this.#memory.push(memory);
    this.#constants.set(buffer, memory);
    if (buffer.bytes > 0) this.#device.stream.copyToDevice(memory.pointer, buffer.data!, buffer.bytes);
  }

  #memoryOfRuns(): RunMemory {
    this.#runMemory ??= {
      arena: this.#allocate(this.#parts.plan.arenaBytes, "program"),
      inputs: this.#allocate(blockBytes(this.#inputs), "program inputs"),
      outputs: this.#allocate(blockBytes(this.#outputs), "program outputs"),
    };
    return this.#runMemory;
  }

  #allocate(bytes: number, holder: string): number {
    if (bytes === 0) return 0;
    const memory = this.#device.allocator.allocate(bytes, holder);
    this.#memory.push(memory);
    return memory.pointer;
  }
}
