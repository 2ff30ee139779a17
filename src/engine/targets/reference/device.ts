/**
 * @file The reference target: interprets graphs on the calling thread with float64 arithmetic. It is slow, holds
 * every op and element type, and is the truth that other targets are tested against.
 */
import { allocate, checkHostArray, type TypedArray } from "../../../base/dtype.ts";
import { rootsOf, stateName, type Graph } from "../../graph/graph.ts";
import type { Tensor, TensorSpec } from "../../graph/node.ts";
import { decomposeComposites } from "../../passes/decomposeComposites.ts";
import { numbersOf } from "../../../base/half.ts";
import {
  checkFeeds,
  checkReceivers,
  checkStateSpec,
  disposedDevice,
  disposedProgram,
  existingState,
  hostTensors,
  missingState,
  type Device,
  type HostTensors,
  type Program,
} from "../../program.ts";
import { sizeOf } from "../../../base/shape.ts";
import { hostArrayOf, interpreter } from "./interpreter.ts";
import type { Interpreter } from "./kernel.ts";

interface State {
  readonly spec: TensorSpec;
  values: TypedArray;
}

/** A device that interprets. */
export class ReferenceDevice implements Device {
  readonly target = "reference";
  readonly #states = new Map<string, State>();
  #disposed = false;

  async createState(name: string, spec: TensorSpec, values?: TypedArray): Promise<void> {
    this.#checkAlive("createState");
    if (this.#states.has(name)) throw existingState(name, "createState");
    const own = allocate(spec.dtype, sizeOf(spec.shape));
    if (values) {
      checkHostArray(`createState ${name}`, values, spec.dtype, own.length);
      own.set(values);
    }
    this.#states.set(name, { spec: { shape: [...spec.shape], dtype: spec.dtype }, values: own });
  }

  async readState(name: string): Promise<TypedArray> {
    return this.#state(name, "readState").values.slice();
  }

  async writeState(name: string, values: TypedArray): Promise<void> {
    const state = this.#state(name, "writeState");
    checkHostArray(`writeState ${name}`, values, state.spec.dtype, state.values.length);
    state.values = values.slice();
  }

  states(): ReadonlyMap<string, TensorSpec> {
    this.#checkAlive("states");
    return new Map([...this.#states].map(([name, { spec }]) => [name, spec]));
  }

  async compile(graph: Graph): Promise<Program> {
    this.#checkAlive("compile");
    const compute = interpreter(rootsOf(decomposeComposites(graph)));
    let disposed = false;
    return {
      run: async (feeds, into = {}) => {
        if (disposed) throw disposedProgram("Program.run");
        this.#checkAlive("Program.run");
        checkFeeds(graph, feeds, "reference");
        checkReceivers(graph, into, "reference");
        return this.#run(graph, compute, hostTensors(feeds), hostTensors(into));
      },
      dispose: async () => {
        disposed = true;
      },
    };
  }

  async dispose(): Promise<void> {
    this.#disposed = true;
    this.#states.clear();
  }

  #run(graph: Graph, compute: Interpreter, feeds: HostTensors, into: HostTensors): HostTensors {
    for (const t of graph.states) {
      checkStateSpec(stateName(t), t, this.#state(stateName(t), "Program.run").spec);
    }
    const inputs = new Map(Object.entries(graph.inputs).map(([name, t]) => [t, feeds[name]!]));
    const values = compute((leaf: Tensor) =>
      numbersOf(inputs.get(leaf) ?? this.#states.get(stateName(leaf))!.values, leaf.dtype),
    );

    const names = Object.keys(graph.outputs);
    const outputs: HostTensors = {};
    names.forEach((name, i) => {
      const given = into[name];
      // Two names may stand for one tensor; each gets an array of its own.
      const own = hostArrayOf(values[i]!, graph.outputs[name]!.dtype);
      given?.set(own);
      outputs[name] = given ?? own;
    });
    // Every value has been computed from the old states, so the order of the updates does not matter.
    graph.updates.forEach(([state], i) => {
      this.#states.get(stateName(state))!.values = hostArrayOf(values[names.length + i]!, state.dtype);
    });
    return outputs;
  }

  #state(name: string, where: string): State {
    this.#checkAlive(where);
    const state = this.#states.get(name);
    if (!state) throw missingState(name, where);
    return state;
  }

  #checkAlive(where: string): void {
    if (this.#disposed) throw disposedDevice(where);
  }
}
