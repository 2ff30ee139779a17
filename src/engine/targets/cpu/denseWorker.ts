/**
 * @file The worker that owns ONNX Runtime, the states and the compiled programs of one cpu device.
 *
 * Requests are served one at a time in the order they came. Feeds are copied into tensors that live as long as
 * their program, outputs and next states are written by ONNX Runtime into preallocated tensors, so a run makes no
 * garbage however often it is called.
 */
import { createRequire } from "node:module";
import { parentPort, workerData } from "node:worker_threads";
import type * as Koffi from "koffi";
import type * as Ort from "onnxruntime-common";
import type { InferenceSession, Tensor as OrtTensor } from "onnxruntime-common";
import { allocate, type DType, type TypedArray } from "../../../base/dtype.ts";
import { ParetoError } from "../../../base/errors.ts";
import { missingPackage } from "../../../base/missingPackage.ts";
import type { TensorSpec } from "../../graph/node.ts";
import { stateInput, stateOutput } from "../../onnx/lowerGraph.ts";
import { checkStateSpec, missingState, type HostTensors } from "../../program.ts";
import { fillUniform } from "../../../base/rng.ts";
import { sizeOf } from "../../../base/shape.ts";
import type { ProgramPlan, Request } from "./protocol.ts";

interface State {
  spec: TensorSpec;
  current: OrtTensor;
  /** The buffer that the next value is written to; made at the first update. */
  spare: OrtTensor | undefined;
}

interface Compiled {
  plan: ProgramPlan;
  session: InferenceSession;
  inputs: Record<string, OrtTensor>;
  outputs: Record<string, OrtTensor>;
  randoms: Record<string, OrtTensor>;
}

const { threads, returnsMemory } = workerData as { threads: number; returnsMemory: boolean };
/** ONNX Runtime, or why every request fails. Loaded at once, while the other thread still traces its graph. */
const runtime = loadRuntime();
const ort = runtime as typeof Ort;
const states = new Map<string, State>();
const programs = new Map<number, Compiled>();

function loadRuntime(): typeof Ort | ParetoError {
  try {
    return createRequire(import.meta.url)("onnxruntime-node") as typeof Ort;
  } catch (cause) {
    return missingPackage("CPU_RUNTIME_MISSING", "onnxruntime-node", "the cpu target", cause);
  }
}

function newTensor({ shape, dtype }: TensorSpec): OrtTensor {
  return new ort.Tensor(dtype as "float32", allocate(dtype as DType, sizeOf(shape)) as Float32Array, shape);
}

const dataOf = (tensor: OrtTensor) => tensor.data as TypedArray;

function stateOf(name: string, where: string): State {
  const found = states.get(name);
  if (!found) throw missingState(name, where);
  return found;
}

async function compile(program: number, plan: ProgramPlan, profile: string | undefined): Promise<void> {
  const session = await ort.InferenceSession.create(plan.model, {
    executionProviders: ["cpu"],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: "sequential",
    graphOptimizationLevel: "all",
    logSeverityLevel: 3,
    enableCpuMemArena: !returnsMemory,
    // A pattern is one block for all tensors of a run, however short each of them is needed.
    enableMemPattern: !returnsMemory,
    // A spinning thread takes its core from the kernel threads, from other sessions and from other processes; on an
    // idle machine the step of a CTR model is as fast without, on a busy one twice as fast.
    extra: { session: { intra_op: { allow_spinning: "0" } } },
    ...(profile !== undefined && { enableProfiling: true, profileFilePrefix: profile }),
  });
  const tensors = (specs: Record<string, TensorSpec>) =>
    Object.fromEntries(Object.entries(specs).map(([name, spec]) => [name, newTensor(spec)]));
  programs.set(program, {
    plan,
    session,
    inputs: tensors(plan.inputs),
    outputs: tensors(plan.outputs),
    randoms: Object.fromEntries(
      plan.randoms.map((r) => [r.name, newTensor({ shape: r.shape, dtype: "float32" })]),
    ),
  });
}

async function run(program: number, feeds: HostTensors, into: HostTensors): Promise<HostTensors> {
  const { plan, session, inputs, outputs } = programs.get(program)!;
  const fed: Record<string, OrtTensor> = {};
  const fetched: Record<string, OrtTensor> = {};
  for (const [name, tensor] of Object.entries(inputs)) {
    dataOf(tensor).set(feeds[name]!);
    fed[`in/${name}`] = tensor;
  }
  for (const [name, spec] of Object.entries(plan.states)) {
    const held = stateOf(name, "Program.run");
    checkStateSpec(name, spec, held.spec);
    fed[stateInput(name)] = held.current;
  }
  for (const random of plan.randoms) fed[random.name] = fillRandom(programs.get(program)!, random, feeds);
  for (const [name, tensor] of Object.entries(outputs)) fetched[`out/${name}`] = tensor;
  for (const name of plan.updated) {
    const held = states.get(name)!;
    held.spare ??= newTensor(held.spec);
    fetched[stateOutput(name)] = held.spare;
  }
  const known = new Set(session.inputNames);
  for (const name of Object.keys(fed)) if (!known.has(name)) delete fed[name];
  await session.run(fed, fetched);
  for (const name of plan.updated) {
    const held = states.get(name)!;
    [held.current, held.spare] = [held.spare!, held.current];
  }
  const fresh: HostTensors = {};
  for (const [name, tensor] of Object.entries(outputs)) {
    const target = into[name];
    if (target) target.set(dataOf(tensor));
    else fresh[name] = dataOf(tensor).slice();
  }
  return fresh;
}

function fillRandom(
  compiled: Compiled,
  random: ProgramPlan["randoms"][number],
  feeds: HostTensors,
): OrtTensor {
  const tensor = compiled.randoms[random.name]!;
  const { key } = random;
  const words =
    "words" in key
      ? key.words
      : "input" in key
        ? feeds[key.input]!
        : dataOf(stateOf(key.state, "Program.run").current);
  fillUniform(dataOf(tensor) as Float32Array, words);
  return tensor;
}

async function serve(request: Request): Promise<HostTensors | TypedArray | null> {
  switch (request.kind) {
    case "createState": {
      const current = newTensor(request.spec);
      if (request.values) dataOf(current).set(request.values);
      states.set(request.name, { spec: request.spec, current, spare: undefined });
      return null;
    }
    case "shareState": {
      const { name, spec, values } = request;
      const current = new ort.Tensor(
        spec.dtype as "float32",
        unsharedView(values) as Float32Array,
        spec.shape,
      );
      shared.add(values);
      states.set(name, { spec, current, spare: undefined });
      return null;
    }
    case "readState":
      return dataOf(stateOf(request.name, "readState").current).slice();
    case "writeState":
      dataOf(stateOf(request.name, "writeState").current).set(request.values);
      return null;
    case "compile":
      await compile(request.program, request.plan, request.profile);
      return null;
    case "run":
      return run(request.program, request.feeds, request.into);
    case "disposeProgram": {
      const compiled = programs.get(request.program);
      programs.delete(request.program);
      if (compiled) {
        compiled.session.endProfiling();
        await compiled.session.release();
      }
      return null;
    }
  }
}

/** Memory of states that others own, kept for as long as this worker lives. */
const shared = new Set<TypedArray>();

/**
 * The same memory as an array that ONNX Runtime takes, which refuses those on a SharedArrayBuffer. Where koffi cannot
 * be loaded it is a copy.
 */
function unsharedView(values: TypedArray): TypedArray {
  let koffi: typeof Koffi;
  try {
    koffi = createRequire(import.meta.url)("koffi") as typeof Koffi;
  } catch {
    return values.slice();
  }
  const memory = koffi.view(koffi.address(values), values.byteLength);
  return new (values.constructor as Float32ArrayConstructor)(memory);
}

let last: Promise<void> = Promise.resolve();
parentPort!.on("message", ({ id, request }: { id: number; request: Request }) => {
  last = last.then(async () => {
    try {
      if (runtime instanceof ParetoError) throw runtime;
      parentPort!.postMessage({ id, ok: true, value: await serve(request) });
    } catch (cause) {
      const error =
        cause instanceof ParetoError
          ? cause.toJSON()
          : { name: (cause as Error).name, message: (cause as Error).message, stack: (cause as Error).stack };
      parentPort!.postMessage({ id, ok: false, error });
    }
  });
});
