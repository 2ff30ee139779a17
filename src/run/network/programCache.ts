/** @file Programs of a network, compiled when they are first needed, one for each device and key. */
import type { Graph } from "../../engine/graph/graph.ts";
import type { BoundTensors, Device, HostTensors, Program } from "../../engine/program.ts";

/** A graph to be run on one of the devices. */
export interface CachedGraph {
  /** Place of the device among the cache's. */
  device: number;
  /** Names the graph; the same key stands for the same graph. */
  key: string;
  trace: () => Graph;
}

/** Programs over the states of some devices. */
export class ProgramCache {
  readonly #devices: readonly Device[];
  readonly #programs = new Map<string, Program | Promise<Program>>();

  constructor(devices: readonly Device[]) {
    this.#devices = devices;
  }

  /** Compiles a graph, unless that has been done. */
  async compile(graph: CachedGraph): Promise<void> {
    await this.#program(graph);
  }

  /** Whether a graph has been compiled. */
  isCompiled({ device, key }: Pick<CachedGraph, "device" | "key">): boolean {
    const program = this.#programs.get(`${device} ${key}`);
    return program !== undefined && !(program instanceof Promise);
  }

  /** Runs a graph. Once it is compiled, the device is asked for the run before this returns. */
  run(graph: CachedGraph, feeds: BoundTensors, into?: BoundTensors): Promise<HostTensors> {
    const program = this.#program(graph);
    return program instanceof Promise
      ? program.then((compiled) => compiled.run(feeds, into))
      : program.run(feeds, into);
  }

  /** Frees all programs; those that could not be compiled hold nothing. */
  async dispose(): Promise<void> {
    const programs = await Promise.allSettled(this.#programs.values());
    this.#programs.clear();
    for (const program of programs) if (program.status === "fulfilled") await program.value.dispose();
  }

  #program({ device, key, trace }: CachedGraph): Program | Promise<Program> {
    const name = `${device} ${key}`;
    const known = this.#programs.get(name);
    if (known) return known;
    const compiling = this.#devices[device]!.compile(trace());
    this.#programs.set(name, compiling);
    // A failure is for whoever asked for the program.
    compiling.then(
      (program) => this.#programs.get(name) === compiling && this.#programs.set(name, program),
      () => this.#programs.delete(name),
    );
    return compiling;
  }
}
