/** @file What the host and the worker that owns ONNX Runtime say to each other. One request is answered by one reply. */
import type { TypedArray } from "../../../base/dtype.ts";
import type { ErrorDetail } from "../../../base/errors.ts";
import type { TensorSpec } from "../../graph/node.ts";
import type { HostTensors } from "../../program.ts";
import type { Shape } from "../../../base/shape.ts";

/** A random tensor to be filled before a run. */
export interface RandomFill {
  /** ONNX input that it feeds. */
  name: string;
  shape: Shape;
  /** Where the key comes from: a feed or a state by name, or its four words. */
  key: { input: string } | { state: string } | { words: number[] };
}

/** A compiled program, as the worker needs it. */
export interface ProgramPlan {
  model: Uint8Array;
  inputs: Record<string, TensorSpec>;
  outputs: Record<string, TensorSpec>;
  /** States read or updated. */
  states: Record<string, TensorSpec>;
  updated: string[];
  randoms: RandomFill[];
}

/** A request to the worker. */
export type Request =
  | { kind: "createState"; name: string; spec: TensorSpec; values: TypedArray | undefined }
  | { kind: "shareState"; name: string; spec: TensorSpec; values: TypedArray }
  | { kind: "readState"; name: string }
  | { kind: "writeState"; name: string; values: TypedArray }
  | { kind: "compile"; program: number; plan: ProgramPlan; profile: string | undefined }
  | { kind: "run"; program: number; feeds: HostTensors; into: HostTensors }
  | { kind: "disposeProgram"; program: number };

/** The worker's answer. */
export type Reply = { id: number } & (
  | { ok: true; value: HostTensors | TypedArray | null }
  | { ok: false; error: ErrorDetail | { name: string; message: string; stack: string | undefined } }
);
