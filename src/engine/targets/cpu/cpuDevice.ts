/**
 * @file The `cpu` target: graphs become ONNX and run in ONNX Runtime on a worker thread.
 *
 * ONNX Runtime's calls block their thread, hence the worker; its matrix products spread over `threads` threads of
 * its own. States live in the worker as two buffers each: a run reads one and writes the next value into the
 * other, then they change places, so an update copies nothing. Feeds and outputs on SharedArrayBuffers cross
 * without a copy by the host. Element types: float32, int32, bool.
 */
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { checkHostArray, isHalf, type TypedArray } from "../../../base/dtype.ts";
import { ParetoError, type ErrorDetail } from "../../../base/errors.ts";
import { stateName, type Graph } from "../../graph/graph.ts";
import type { Node, Tensor, TensorSpec } from "../../graph/node.ts";
import { reachableNodes } from "../../graph/rewrite.ts";
import { rootsOf } from "../../graph/graph.ts";
import { runtimeComposites } from "../../onnx/lowerOps.ts";
import { lowerGraph } from "../../onnx/lowerGraph.ts";
import { encodeModel } from "../../onnx/proto.ts";
import { decomposeComposites } from "../../passes/decomposeComposites.ts";
import { simplify } from "../../passes/simplify.ts";
import {
  checkFeeds,
  checkReceivers,
  disposedDevice,
  disposedProgram,
  existingState,
  hostTensors,
  missingState,
  type BoundTensors,
  type Device,
  type HostTensors,
  type Program,
} from "../../program.ts";
import { sizeOf } from "../../../base/shape.ts";
import { workerFile } from "../../../base/workerFile.ts";
import type { RandomFill, Reply, Request } from "./protocol.ts";

/** How a cpu device is opened. */
export interface CpuDeviceOptions {
  /** Threads of ONNX Runtime. Defaults to the cores available. */
  threads?: number;
  /** As in `DeviceOptions`. */
  returnsMemory?: boolean;
  /** Prefix of ONNX Runtime's profile files; each program writes one when it is disposed of. */
  profile?: string;
}

const specOf = ({ shape, dtype }: TensorSpec): TensorSpec => ({ shape, dtype });

/** A device of the `cpu` target. */
export class CpuDevice implements Device {
  readonly target = "cpu";
  readonly #worker: Worker;
  readonly #profile: string | undefined;
  readonly #waiting = new Map<
    number,
    { resolve: (v: Reply & { ok: true }) => void; reject: (e: unknown) => void }
  >();
  readonly #states = new Map<string, TensorSpec>();
  #nextRequest = 0;
  #nextProgram = 0;
  #disposed = false;

  constructor({ threads = availableParallelism(), returnsMemory = false, profile }: CpuDeviceOptions = {}) {
    this.#profile = profile;
    // onnxruntime would leave files in the temporary folder and report uses of it over the network. The native code
    // reads the variable from the process, so it has to be set here: a worker's environment is a copy.
    process.env["ORT_DISABLE_TELEMETRY"] ??= "1";
    this.#worker = new Worker(workerFile("./denseWorker", import.meta.url), {
      workerData: { threads, returnsMemory },
    });
    this.#worker.unref();
    this.#worker.on("message", (reply: Reply) => {
      const entry = this.#waiting.get(reply.id)!;
      this.#waiting.delete(reply.id);
      if (this.#waiting.size === 0) this.#worker.unref();
      if (reply.ok) entry.resolve(reply);
      else entry.reject(revive(reply.error));
    });
    this.#worker.on("error", (error) => this.#fail(error));
    this.#worker.on("exit", () => this.#fail(disposedDevice("CpuDevice")));
  }

  states(): ReadonlyMap<string, TensorSpec> {
    if (this.#disposed) throw disposedDevice("states");
    return this.#states;
  }

  async createState(name: string, spec: TensorSpec, values?: TypedArray): Promise<void> {
    if (this.#states.has(name)) throw existingState(name, "createState");
    requireSupported("createState", spec);
    if (values) checkHostArray(`createState ${name}`, values, spec.dtype, sizeOf(spec.shape));
    this.#states.set(name, specOf(spec));
    await this.#ask({ kind: "createState", name, spec: specOf(spec), values });
  }

  /**
   * As `createState`, but the state is the given memory and no copy of it, for others who read it too.
   * @param values on a SharedArrayBuffer; nobody writes to it from now on, and no program may update the state
   */
  async shareState(name: string, spec: TensorSpec, values: TypedArray): Promise<void> {
    if (this.#states.has(name)) throw existingState(name, "shareState");
    requireSupported(`shareState ${name}`, spec);
    checkHostArray(`shareState ${name}`, values, spec.dtype, sizeOf(spec.shape));
    this.#states.set(name, specOf(spec));
    await this.#ask({ kind: "shareState", name, spec: specOf(spec), values });
  }

  async readState(name: string): Promise<TypedArray> {
    if (!this.#states.has(name)) throw missingState(name, "readState");
    return (await this.#ask({ kind: "readState", name })) as TypedArray;
  }

  async writeState(name: string, values: TypedArray): Promise<void> {
    const spec = this.#states.get(name);
    if (!spec) throw missingState(name, "writeState");
    checkHostArray(`writeState ${name}`, values, spec.dtype, sizeOf(spec.shape));
    await this.#ask({ kind: "writeState", name, values });
  }

  async compile(graph: Graph): Promise<Program> {
    const simple = simplify(decomposeComposites(graph, runtimeComposites));
    for (const node of reachableNodes(rootsOf(simple))) {
      for (const t of node.outputs) requireSupported("compile", t);
    }
    const { onnx, randoms } = lowerGraph(simple, { prefixes: { input: "in/", output: "out/" } });
    const specs = (tensors: Readonly<Record<string, Tensor>>) =>
      Object.fromEntries(Object.entries(tensors).map(([name, t]) => [name, specOf(t)]));
    const program = this.#nextProgram++;
    await this.#ask({
      kind: "compile",
      program,
      profile: this.#profile && `${this.#profile}${program}`,
      plan: {
        model: encodeModel(onnx),
        inputs: specs(graph.inputs),
        outputs: specs(graph.outputs),
        states: Object.fromEntries(simple.states.map((t) => [stateName(t), specOf(t)])),
        updated: simple.updates.map(([s]) => stateName(s)),
        randoms: randoms.map(({ name, node }) => ({ name, shape: node.attrs.shape, key: keySource(node) })),
      },
    });
    return new CpuProgram(graph, (request) => this.#ask({ ...request, program }));
  }

  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    await this.#worker.terminate();
  }

  #ask(request: Request): Promise<Extract<Reply, { ok: true }>["value"]> {
    if (this.#disposed) throw disposedDevice(request.kind);
    const id = this.#nextRequest++;
    this.#worker.ref();
    return new Promise<Reply & { ok: true }>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, request });
    }).then((reply) => reply.value);
  }

  #fail(error: unknown): void {
    this.#disposed = true;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

type ProgramRequest = { kind: "run"; feeds: HostTensors; into: HostTensors } | { kind: "disposeProgram" };

class CpuProgram implements Program {
  readonly #graph: Graph;
  readonly #ask: (request: ProgramRequest) => Promise<unknown>;
  #disposed = false;

  constructor(graph: Graph, ask: (request: ProgramRequest) => Promise<unknown>) {
    this.#graph = graph;
    this.#ask = ask as never;
  }

  async run(bound: BoundTensors, receivers: BoundTensors = {}): Promise<HostTensors> {
    if (this.#disposed) throw disposedProgram("Program.run");
    checkFeeds(this.#graph, bound, "cpu");
    checkReceivers(this.#graph, receivers, "cpu");
    const [feeds, into] = [hostTensors(bound), hostTensors(receivers)];
    const shared: HostTensors = {};
    for (const [name, array] of Object.entries(into)) {
      if (array.buffer instanceof SharedArrayBuffer) shared[name] = array;
    }
    const fresh = (await this.#ask({ kind: "run", feeds, into: shared })) as HostTensors;
    for (const [name, array] of Object.entries(into)) {
      if (!(name in shared)) array.set(fresh[name]!);
    }
    return { ...fresh, ...into };
  }

  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    await this.#ask({ kind: "disposeProgram" });
  }
}

/** Where the worker finds a random tensor's key. */
function keySource({ inputs: [key] }: Node<"random">): RandomFill["key"] {
  const node = key!.node as unknown as Node<"input"> | Node<"state"> | Node<"constant">;
  if (node.op === "input") return { input: (node as Node<"input">).attrs.name };
  if (node.op === "state") return { state: (node as Node<"state">).attrs.name };
  if (node.op === "constant") return { words: Array.from((node as Node<"constant">).attrs.data) };
  throw new ParetoError({
    code: "TARGET_UNSUPPORTED",
    where: "compile",
    message: `compile: a random key must be an input, a state or a constant on cpu, got the result of ${key!.node.op}`,
    fix: "Feed the key, or keep it in a state of its own.",
  });
}

function requireSupported(where: string, { dtype }: TensorSpec): void {
  if (dtype === "float32" || dtype === "int32" || dtype === "bool") return;
  throw new ParetoError({
    code: "TARGET_UNSUPPORTED",
    where,
    message: `${where}: the cpu target computes in float32, int32 and bool, got ${dtype}`,
    fix: `Use float32 (cast(x, "float32")), or open the device ${isHalf(dtype) ? '"cuda" or "reference"' : '"reference"'} for ${dtype}.`,
  });
}

function revive(error: Extract<Reply, { ok: false }>["error"]): Error {
  if ("code" in error) return new ParetoError(error as ErrorDetail);
  const plain = new Error(error.message);
  plain.name = error.name;
  if (error.stack) plain.stack = error.stack;
  return plain;
}
