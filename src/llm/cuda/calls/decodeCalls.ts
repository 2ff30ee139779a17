/**
 * @file The launches of a decode step over evicting caches: `advanceCall` once, then `attendCall` for each layer, and
 * `sharedEvictCall` at the end where all layers decide together.
 */
import {
  argument,
  cuSource,
  type KernelCall,
  type KernelSource,
} from "../../../engine/targets/cuda/index.ts";
import { dtypeBytes } from "../../../base/dtype.ts";
import { sharedWindow } from "../../kv/decide.ts";
import { attendSplits, attendTuning, type AttendTuning } from "./attendTuning.ts";
import { sequenceBuffers, decodeBuffers } from "./buffers.ts";
import { attendMacros, type KvModel, positionMacros, shapeMacros, DECODE_THREADS } from "./model.ts";

/** Kernels of a model's decode step. */
export interface DecodeKernels {
  readonly model: KvModel;
  readonly tuning: AttendTuning;
  readonly advance: KernelSource;
  readonly attend: KernelSource;
  readonly sharedEvict: KernelSource;
  readonly drop: KernelSource;
}

/** The kernels of a model's decode step. @param tuning other than the one that is used, to measure it */
export function decodeKernels(model: KvModel, tuning: AttendTuning = attendTuning): DecodeKernels {
  const shape = shapeMacros(model, DECODE_THREADS);
  return {
    model,
    tuning,
    advance: cuSource("kvAdvance.cu", "kvAdvance", shape),
    attend: cuSource("kvAttend.cu", "kvAttend", {
      ...shapeMacros(model, tuning.threads),
      ...attendMacros(model, tuning),
      ...positionMacros(model),
    }),
    sharedEvict: cuSource("kvSharedEvict.cu", "kvSharedEvict", { ...shape, LAYERS: model.layers }),
    drop: cuSource("kvDrop.cu", "kvDrop", shape),
  };
}

/** Memory of maxSequences and of the step, as `buffers.ts` lays it out. */
export interface DecodePlaces<P> {
  readonly slabs: P;
  readonly settings: P;
  readonly records: P;
  readonly rowSequences: P;
  readonly positions: P;
  readonly logits: P;
  readonly partials: P;
  readonly arrivals: P;
}

/** Sizes of a step. */
export interface DecodeSizes {
  readonly rows: number;
  readonly maxSequences: number;
  /** Entries that the scratch has room for, at least those of the largest slab in use. */
  readonly capacity: number;
}

/** Begins a step: maxSequences of the rows have seen a token more. `slabs` and `settings` are those of layer 0. */
export function advanceCall<P>(
  { model, advance }: DecodeKernels,
  { rows, maxSequences }: DecodeSizes,
  places: DecodePlaces<P>,
): KernelCall<P> {
  const bytes = sequenceBuffers(model, maxSequences);
  return {
    label: `advance ${rows} texts`,
    source: advance,
    grid: [Math.ceil(rows / DECODE_THREADS), 1, 1],
    block: [DECODE_THREADS, 1, 1],
    arguments: [
      argument.read(places.rowSequences, 4 * rows),
      argument.update(places.records, bytes.records),
      argument.read(places.slabs, bytes.slabs / model.layers),
      argument.read(places.settings, bytes.settings / model.layers),
      argument.write(places.positions, 4 * rows),
      argument.int32(rows),
    ],
  };
}

/** What a layer's attention reads and writes. Strides are elements from one row to the next. */
export interface AttendPlaces<P> extends DecodePlaces<P> {
  /** Not yet turned. */
  readonly q: P;
  readonly k: P;
  readonly v: P;
  /** `rotaryTable`; null for a model without. */
  readonly rotaryTable: P | null;
  /** float32 `[heads]`; null for a model without. */
  readonly slopes: P | null;
  /** `[rows, heads · headDim]` */
  readonly out: P;
}

/** Numbers of a layer's attention. */
export interface AttendNumbers {
  readonly layer: number;
  readonly scale: number;
  readonly qStride: number;
  readonly kStride: number;
  readonly vStride: number;
  /** Rows of `rotaryTable`. */
  readonly rotaryRows: number;
}

/**
 * Appends each row's token to its sequence's cache, attends, scores and evicts. `slabs` and `settings` are those of the
 * layer: rows `layer` of the tables.
 * @param none the place that stands for null
 */
export function attendCall<P>(
  { model, tuning, attend }: DecodeKernels,
  sizes: DecodeSizes,
  places: AttendPlaces<P>,
  numbers: AttendNumbers,
  none: P,
): KernelCall<P> {
  const { rows, maxSequences, capacity } = sizes;
  const { heads, kvHeads, headDim, dtype, rotary, slidingWindow } = model;
  const element = dtypeBytes(dtype);
  const tableBytes = sequenceBuffers(model, maxSequences);
  const stepBytes = decodeBuffers(model, rows, capacity, tuning);
  const span = (stride: number, width: number) => element * ((rows - 1) * stride + width * headDim);
  const optional = (place: P | null, bytes: number) =>
    place === null ? argument.read(none, 0) : argument.read(place, bytes);
  return {
    label: `attention of layer ${numbers.layer} over caches of ${rows} texts`,
    source: attend,
    grid: [attendSplits(tuning, rows * kvHeads, capacity), kvHeads, rows],
    block: [tuning.threads, 1, 1],
    arguments: [
      argument.read(places.rowSequences, stepBytes.rowSequences),
      argument.update(places.records, tableBytes.records),
      argument.read(places.slabs, tableBytes.slabs / model.layers),
      argument.read(places.settings, tableBytes.settings / model.layers),
      argument.read(places.q, span(numbers.qStride, heads)),
      argument.read(places.k, span(numbers.kStride, kvHeads)),
      argument.read(places.v, span(numbers.vStride, kvHeads)),
      argument.int32(numbers.qStride),
      argument.int32(numbers.kStride),
      argument.int32(numbers.vStride),
      optional(places.rotaryTable, 4 * numbers.rotaryRows * (rotary?.dim ?? 0)),
      optional(places.slopes, 4 * heads),
      argument.write(places.out, element * rows * heads * headDim),
      argument.update(places.logits, stepBytes.logits),
      argument.update(places.partials, stepBytes.partials),
      argument.update(places.arrivals, stepBytes.arrivals),
      argument.int32(capacity),
      argument.float32(numbers.scale),
      argument.int32(slidingWindow(numbers.layer) ?? 0),
      argument.int32(numbers.layer),
    ],
  };
}

/**
 * Ends a step where layers decide together: evicts by the sum of their scores. `slabs` and `settings` are the whole
 * tables; sequences whose layers decide alone are left as they are.
 */
export function sharedEvictCall<P>(
  { model, sharedEvict }: DecodeKernels,
  { rows, maxSequences, capacity }: DecodeSizes,
  places: DecodePlaces<P>,
): KernelCall<P> {
  const tableBytes = sequenceBuffers(model, maxSequences);
  const stepBytes = decodeBuffers(model, rows, capacity);
  return {
    label: `eviction by all layers of ${rows} texts`,
    source: sharedEvict,
    grid: [model.kvHeads, rows, 1],
    block: [DECODE_THREADS, 1, 1],
    arguments: [
      argument.read(places.rowSequences, stepBytes.rowSequences),
      argument.read(places.records, tableBytes.records),
      argument.read(places.slabs, tableBytes.slabs),
      argument.read(places.settings, tableBytes.settings),
      argument.write(places.logits, stepBytes.logits),
      argument.int32(maxSequences),
      argument.int32(capacity),
      argument.int32(sharedWindow(model.layers, model.slidingWindow) ?? 0),
    ],
  };
}

/**
 * Drops slots that the host chose in one layer of a sequence.
 * @param places `slots`: int32 `[kvHeads]`, −1 for none; `slabs` and `settings` are those of the layer
 */
export function dropCall<P>(
  { model, drop }: DecodeKernels,
  { sequence, maxSequences }: { sequence: number; maxSequences: number },
  places: { slabs: P; settings: P; slots: P },
): KernelCall<P> {
  const bytes = sequenceBuffers(model, maxSequences);
  return {
    label: `drop of sequence ${sequence}`,
    source: drop,
    grid: [model.kvHeads, 1, 1],
    block: [DECODE_THREADS, 1, 1],
    arguments: [
      argument.read(places.slabs, bytes.slabs / model.layers),
      argument.read(places.settings, bytes.settings / model.layers),
      argument.read(places.slots, 4 * model.kvHeads),
      argument.int32(sequence),
    ],
  };
}
