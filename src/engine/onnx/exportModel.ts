/**
 * @file Writes a model as a standard `.onnx` file: the graph with its states stored in it.
 *
 * Elements are streamed from wherever they are, so a model may be larger than memory. Models that would pass
 * {@link INLINE_BYTES} keep their elements in `FILE.onnx.data` beside the model (ONNX external data), because
 * protobuf ends at 2 GiB; move the two files together. Files appear whole or not at all.
 */
import { basename } from "node:path";
import { checkHostArray, dtypeBytes, type TypedArray, viewBytes } from "../../base/dtype.ts";
import { ParetoError } from "../../base/errors.ts";
import { stateName, type Graph } from "../graph/graph.ts";
import type { Tensor } from "../graph/node.ts";
import { PartialFile } from "../../base/partialFile.ts";
import { decomposeComposites } from "../passes/decomposeComposites.ts";
import { simplify } from "../passes/simplify.ts";
import { formatShape, sizeOf, tensorBytes } from "../../base/shape.ts";
import { lowerGraph } from "./lowerGraph.ts";
import { modelParts, type ModelParts, type OnnxGraph, type OnnxInitializer } from "./proto.ts";

/** Bytes of elements up to which a model is one file. */
const INLINE_BYTES = 1.5 * 2 ** 30;
/** Where tensors may start in a file of external data: pages, so that runtimes can map them. */
const ALIGN_BYTES = 4096;
/**
 * Lengths of the free axis that a model is traced at, to see that it does not depend on it: primes that divide no other
 * length, so that the axis is known wherever it is folded with others.
 */
const TRIAL_LENGTHS = [10_007, 10_009] as const;

/** The elements of a state: row-major, in parts of any length; a part may be overwritten once the next is asked for. */
export type StateValues = () => Iterable<TypedArray> | AsyncIterable<TypedArray>;

/** How a model is exported. */
export interface ExportOptions {
  /** Name of the first axis of all inputs and outputs. */
  freeAxis?: string;
  /** Names of further axes of any length: by input or output, by axis, e.g. `{ ids: { 2: "bag" } }`. */
  freeAxes?: Readonly<Record<string, Readonly<Record<number, string>>>>;
  /** Kept in the model's `metadata_props`. */
  metadata?: Readonly<Record<string, string>>;
  /** Bytes of elements up to which the model is one file; defaults to 1.5 GiB. */
  inlineBytes?: number;
  /** Called with the bytes of elements written so far, and in all. */
  onProgress?: (done: number, total: number, unit: "bytes") => void;
}

/** What was written. */
export interface ExportedModel {
  /** The model, and its external data if it has any. */
  files: string[];
  sizeBytes: number;
}

/**
 * Exports a model.
 * @param traceModel traces the model with its free axes at a length (other free axes may have other lengths that
 * differ from call to call). It is called twice; only what does not depend on the length can be exported.
 * @param values the elements of every state that the model reads, by name
 * @param file path of the `.onnx` file; one that exists is replaced
 * @throws ParetoError EXPORT_FIXED_AXIS when the graph depends on the length of the free axis, EXPORT_UPDATES when it
 * updates states, EXPORT_RANDOM when it draws random numbers, EXPORT_VALUES when a state's elements are missing, too
 * few or too many, DTYPE_HOST_ARRAY, FILE_DISK_FULL, FILE_REFUSED
 */
export async function exportOnnx(
  traceModel: (length: number) => Graph,
  values: ReadonlyMap<string, StateValues>,
  file: string,
  options: ExportOptions = {},
): Promise<ExportedModel> {
  const graph = simplify(decomposeComposites(traceModel(TRIAL_LENGTHS[0])));
  requireExportable(graph, values);
  const states = new Map(graph.states.map((t) => [stateName(t), t]));
  const elementBytes = graph.states.reduce((n, t) => n + tensorBytes(t), 0);
  const isExternal = elementBytes > (options.inlineBytes ?? INLINE_BYTES);
  const stored = placeStates(graph.states, isExternal ? `${basename(file)}.data` : null);
  const parts = modelParts(lower(graph, stored, options, TRIAL_LENGTHS[0]), options.metadata);
  requireFreeAxis(parts, simplify(decomposeComposites(traceModel(TRIAL_LENGTHS[1]))), stored, options);

  let done = 0;
  const write = async (to: PartialFile, name: string) => {
    const t = states.get(name)!;
    const end = to.sizeBytes + tensorBytes(t);
    for await (const chunk of values.get(name)!()) {
      checkHostArray(`values of ${name}`, chunk, t.dtype, chunk.length);
      if (to.sizeBytes + chunk.byteLength > end) throw wrongCount(name, t, "more");
      await to.write(viewBytes(chunk));
      options.onProgress?.((done += chunk.byteLength), elementBytes, "bytes");
    }
    if (to.sizeBytes < end)
      throw wrongCount(name, t, `${sizeOf(t.shape) - (end - to.sizeBytes) / dtypeBytes(t.dtype)}`);
  };

  const model = await PartialFile.create(file);
  const data = isExternal
    ? await PartialFile.create(`${file}.data`).catch(rethrowAfter(() => model.abort()))
    : null;
  try {
    await model.write(parts.head);
    for (const { tensor, header } of parts.tensors) {
      await model.write(header);
      await write(model, tensor.name);
    }
    if (data) {
      for (const [name, { data: place }] of stored) {
        await data.write(new Uint8Array((place as { offset: number }).offset - data.sizeBytes));
        await write(data, name);
      }
    }
    // Both are on the disk before either takes its name, the model last: it is what people open.
    await model.sync();
    await data?.commit();
    await model.commit();
  } catch (error) {
    await model.abort();
    await data?.abort();
    throw error;
  }
  const files = [model, ...(data ? [data] : [])];
  return { files: files.map((f) => f.path), sizeBytes: files.reduce((n, f) => n + f.sizeBytes, 0) };
}

function rethrowAfter(cleanUp: () => Promise<void>): (error: unknown) => Promise<never> {
  return async (error) => {
    await cleanUp();
    throw error;
  };
}

/** Where each state's elements will be: behind its header in the model, or in the file `location`. */
function placeStates(states: readonly Tensor[], location: string | null): Map<string, OnnxInitializer> {
  let offset = 0;
  return new Map(
    states.map((t) => {
      const name = stateName(t);
      const sizeBytes = tensorBytes(t);
      const data = location === null ? { sizeBytes } : { location, offset, sizeBytes };
      offset = Math.ceil((offset + sizeBytes) / ALIGN_BYTES) * ALIGN_BYTES;
      return [name, { name, dtype: t.dtype, shape: t.shape, data }];
    }),
  );
}

function lower(
  graph: Graph,
  stored: ReadonlyMap<string, OnnxInitializer>,
  options: ExportOptions,
  freeLength: number,
): OnnxGraph {
  const { freeAxis, freeAxes = {} } = options;
  const { onnx, randoms } = lowerGraph(graph, {
    stored,
    ...(freeAxis !== undefined && { freeAxis, freeLength }),
  });
  if (randoms.length > 0) {
    throw new ParetoError({
      code: "EXPORT_RANDOM",
      where: "exportOnnx",
      message: `exportOnnx: ONNX has no counter-based random numbers, got a graph that draws ${randoms.length} random tensors`,
      fix: "Export the graph of inference, without dropout and noise.",
    });
  }
  for (const value of [...onnx.inputs, ...onnx.outputs]) {
    const axes = freeAxes[value.name];
    if (axes) value.freeAxes = axes;
  }
  return onnx;
}

/** A graph that names a length that should be free differs when it is traced at another length. */
function requireFreeAxis(
  parts: ModelParts,
  other: Graph,
  stored: ReadonlyMap<string, OnnxInitializer>,
  options: ExportOptions,
): void {
  if (options.freeAxis === undefined) return;
  const again = modelParts(lower(other, stored, options, TRIAL_LENGTHS[1]), options.metadata);
  if (Buffer.compare(parts.head, again.head) === 0) return;
  throw new ParetoError({
    code: "EXPORT_FIXED_AXIS",
    where: "exportOnnx",
    message: `exportOnnx: the model would run at one length of axis "${options.freeAxis}" only, got graphs that differ between lengths ${TRIAL_LENGTHS.join(" and ")}`,
    fix: "Keep that axis first in every tensor, and do not reshape, expand or slice to a length taken from it.",
  });
}

function requireExportable(graph: Graph, values: ReadonlyMap<string, StateValues>): void {
  const [updated] = graph.updates;
  if (updated) {
    throw new ParetoError({
      code: "EXPORT_UPDATES",
      where: "exportOnnx",
      message: `exportOnnx: an ONNX model cannot replace its own tensors, got an update of "${stateName(updated[0])}"`,
      fix: "Export the graph of inference, not that of training.",
    });
  }
  const missing = graph.states.map(stateName).find((name) => !values.has(name));
  if (missing === undefined) return;
  throw new ParetoError({
    code: "EXPORT_VALUES",
    where: "exportOnnx",
    message: `exportOnnx: the model reads a state whose elements were not given, got none for "${missing}"`,
    fix: "Give the elements of every state that the model reads.",
  });
}

function wrongCount(name: string, t: Tensor, received: string): ParetoError {
  return new ParetoError({
    code: "EXPORT_VALUES",
    where: "exportOnnx",
    message: `exportOnnx: state "${name}" ${formatShape(t.shape)} has ${sizeOf(t.shape)} elements, got ${received}`,
    fix: "Give the elements of a checkpoint of the same model.",
  });
}
