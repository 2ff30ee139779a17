/**
 * @file What every target offers: a device that holds states and compiles graphs into programs.
 *
 * States are named buffers that live on the device between runs; programs compiled on one device share them by
 * name. A host reads and writes them explicitly; there are no hidden copies. Runs on one device happen one at a
 * time, in the order they were asked for.
 */
import { checkHostArray, type TypedArray } from "../base/dtype.ts";
import { ParetoError } from "../base/errors.ts";
import type { Graph } from "./graph/graph.ts";
import type { TensorSpec } from "./graph/node.ts";
import { formatShape, sameShape, sizeOf } from "../base/shape.ts";

/** Host arrays by name. Arrays on a SharedArrayBuffer are read and written in place by a device's threads. */
export type HostTensors = Record<string, TypedArray>;

/** A tensor that lies in a device's own memory, kept there by whoever made it. Only that device's programs take it. */
export class DeviceTensor implements TensorSpec {
  readonly target: TargetName;
  readonly shape: TensorSpec["shape"];
  readonly dtype: TensorSpec["dtype"];
  /** Address of the first element in the device's memory. */
  readonly pointer: number;

  constructor(target: TargetName, { shape, dtype }: TensorSpec, pointer: number) {
    this.target = target;
    this.shape = shape;
    this.dtype = dtype;
    this.pointer = pointer;
  }
}

/** What a program is fed, or writes outputs into: host arrays, or tensors of its device, used in place. */
export type BoundTensors = Record<string, TypedArray | DeviceTensor>;

/** A compiled graph. */
export interface Program {
  /**
   * Runs once: computes the outputs, then replaces the updated states.
   * @param feeds one array for each input of the graph, row-major
   * @param into what receives outputs, by name; outputs not named here are returned in new arrays
   * @returns the outputs that are host arrays
   * @throws ParetoError `PROGRAM_FEED` for a missing or unknown name, `DTYPE_HOST_ARRAY`, `SHAPE_HOST_ARRAY`,
   * `PROGRAM_OUTPUT` for a name in `into` that is no output, `STATE_MISSING` when a state was never created,
   * `STATE_SPEC` when it was created with another spec, `PROGRAM_DISPOSED`
   */
  run(feeds: BoundTensors, into?: BoundTensors): Promise<HostTensors>;
  /** Frees what the program holds; states stay. */
  dispose(): Promise<void>;
}

/** A place to compute. */
export interface Device {
  /** The target's name, e.g. `cpu`. */
  readonly target: TargetName;
  /**
   * Creates a state.
   * @param values initial elements; zeros when left out
   * @throws ParetoError `STATE_EXISTS`
   */
  createState(name: string, spec: TensorSpec, values?: TypedArray): Promise<void>;
  /** A copy of a state's elements. @throws ParetoError `STATE_MISSING` */
  readState(name: string): Promise<TypedArray>;
  /** Replaces a state's elements. @throws ParetoError `STATE_MISSING`, `DTYPE_HOST_ARRAY`, `SHAPE_HOST_ARRAY` */
  writeState(name: string, values: TypedArray): Promise<void>;
  /** The states that exist, with their specs. */
  states(): ReadonlyMap<string, TensorSpec>;
  /** Compiles a graph. @throws ParetoError `TARGET_UNSUPPORTED` for an element type that the target lacks */
  compile(graph: Graph): Promise<Program>;
  /** Page-locks host memory that is fed or read into often, on targets that copy it; a hint, never needed. */
  pin?(array: TypedArray): void;
  /** Frees states and programs and ends threads; using the device afterwards throws `DEVICE_DISPOSED`. */
  dispose(): Promise<void>;
}

/** Arithmetic of float32 matrix products where a target has a choice: `tf32` rounds operands to 10 bits of mantissa. */
export type Precision = "float32" | "tf32";

/** Targets by name. */
export type TargetName = "reference" | "cpu" | "cuda";

/**
 * Checks what a program is fed: every input, nothing else, of the right element types and sizes.
 * @throws ParetoError `PROGRAM_FEED`, `DTYPE_HOST_ARRAY`, `SHAPE_HOST_ARRAY`, `DEVICE_TENSOR`
 */
export function checkFeeds(graph: Graph, feeds: BoundTensors, target: TargetName): void {
  const names = Object.keys(graph.inputs);
  const missing = names.find((name) => !(name in feeds));
  const unknown = Object.keys(feeds).find((name) => !(name in graph.inputs));
  if (missing !== undefined || unknown !== undefined) {
    throw new ParetoError({
      code: "PROGRAM_FEED",
      where: "Program.run",
      message:
        missing === undefined
          ? `Program.run: no input has this name, got "${unknown}"`
          : `Program.run: input "${missing}" is not fed, got ${Object.keys(feeds).join(", ") || "no feeds"}`,
      fix: `Feed exactly: ${names.join(", ") || "nothing"}.`,
    });
  }
  for (const name of names) checkBound(`feed ${name}`, feeds[name]!, graph.inputs[name]!, target);
}

/**
 * Checks what is to receive outputs.
 * @throws ParetoError `PROGRAM_OUTPUT` for a name that is no output, `DTYPE_HOST_ARRAY`, `SHAPE_HOST_ARRAY`,
 * `DEVICE_TENSOR`
 */
export function checkReceivers(graph: Graph, into: BoundTensors, target: TargetName): void {
  for (const [name, value] of Object.entries(into)) {
    const output = graph.outputs[name];
    if (!output) {
      throw new ParetoError({
        code: "PROGRAM_OUTPUT",
        where: "Program.run",
        message: `Program.run: no output has this name, got "${name}"`,
        fix: `Name one of: ${Object.keys(graph.outputs).join(", ") || "no outputs"}.`,
      });
    }
    checkBound(`output ${name}`, value, output, target);
  }
}

function checkBound(
  where: string,
  value: TypedArray | DeviceTensor,
  spec: TensorSpec,
  target: TargetName,
): void {
  if (!(value instanceof DeviceTensor)) {
    checkHostArray(where, value, spec.dtype, sizeOf(spec.shape));
    return;
  }
  if (value.target === target && value.dtype === spec.dtype && sizeOf(value.shape) === sizeOf(spec.shape))
    return;
  throw new ParetoError({
    code: "DEVICE_TENSOR",
    where,
    message: `${where}: expected ${spec.dtype} ${formatShape(spec.shape)} on the host or on ${target}, got ${value.dtype} ${formatShape(value.shape)} on ${value.target}`,
    fix: "Pass a host array, or a tensor of the program's own device.",
  });
}

/** The host arrays among what a program was given; all of it on a target whose memory is the host's. */
export function hostTensors(tensors: BoundTensors): HostTensors {
  return Object.fromEntries(
    Object.entries(tensors).filter(
      (entry): entry is [string, TypedArray] => !(entry[1] instanceof DeviceTensor),
    ),
  );
}

/**
 * Checks that a state on the device is the one a graph was traced with.
 * @throws ParetoError `STATE_SPEC`
 */
export function checkStateSpec(name: string, wanted: TensorSpec, held: TensorSpec): void {
  if (wanted.dtype === held.dtype && sameShape(wanted.shape, held.shape)) return;
  throw new ParetoError({
    code: "STATE_SPEC",
    where: "Program.run",
    message: `Program.run: the graph needs state "${name}" as ${wanted.dtype} ${formatShape(wanted.shape)}, got ${held.dtype} ${formatShape(held.shape)}`,
    fix: "Create the state with the spec that the graph was traced with, or name it differently.",
  });
}

/** A state that exists already. */
export function existingState(name: string, where: string): ParetoError {
  return new ParetoError({
    code: "STATE_EXISTS",
    where,
    message: `${where}: this device has a state of this name already, got "${name}"`,
    fix: "Replace its elements with writeState, or choose another name.",
  });
}

/** A program used after dispose. */
export function disposedProgram(where: string): ParetoError {
  return new ParetoError({
    code: "PROGRAM_DISPOSED",
    where,
    message: `${where}: the program has been disposed of, got a call after dispose()`,
    fix: "Compile the graph again, or dispose of the program later.",
  });
}

/** A state that was never created. */
export function missingState(name: string, where: string): ParetoError {
  return new ParetoError({
    code: "STATE_MISSING",
    where,
    message: `${where}: no state has this name, got "${name}"`,
    fix: "Create it on this device with createState before it is used.",
  });
}

/** A device used after dispose. */
export function disposedDevice(where: string): ParetoError {
  return new ParetoError({
    code: "DEVICE_DISPOSED",
    where,
    message: `${where}: the device has been disposed of, got a call after dispose()`,
    fix: "Open a new device, or dispose of it later.",
  });
}
