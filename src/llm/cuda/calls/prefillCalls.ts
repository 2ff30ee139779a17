/**
 * @file The launches of a prompt or a further turn of one sequence over one layer's cache.
 *
 * The new tokens lie in a **region**, a slab of scratch with room for what is kept and what is new, which all layers use
 * in turn. In a layer: `liftCall` puts what is kept before them, `appendCall` adds them, `attendReadCall` attends,
 * `scoreCalls` and `settleCalls` score, `keepCall` chooses and `gatherCall` brings what stays into the sequence's slab. A
 * piece that is not the last of its read keeps all and is not settled; the slab needs room for it. The sequence's record
 * says the tokens seen with the new ones, and the settings are those of the sequence's length when the read ends.
 *
 * Where all layers decide together, each keeps all (settled), and the slabs need room for it; when the last layer is
 * done, `sumLayersCall`, one `keepCall` by those sums over the first layer's slab, and a `gatherCall` in place for each
 * layer. The calls from `settleCalls` on are in `keepCalls.ts`.
 */
import { dtypeBytes } from "../../../base/dtype.ts";
import { argument, type KernelCall } from "../../../engine/targets/cuda/index.ts";
import type { KvPolicy } from "../../kv/policy.ts";
import { prefillBuffers, sequenceBuffers, slabLayout } from "./buffers.ts";
import { LIFT_SLOTS, type PrefillKernels, prefillThreads, type RowKernel } from "./prefillKernels.ts";

/** A read of one sequence in one layer. */
export interface PrefillSizes {
  readonly sequence: number;
  readonly maxSequences: number;
  readonly layer: number;
  /** New tokens of this piece. */
  readonly rows: number;
  /** Rows from one head of `queries` and `rowSums` to the next, at least `rows`. */
  readonly queryStride: number;
  /** Entries that the region has room for. */
  readonly capacity: number;
  /** Entries that are kept and new, at most: of the head that has most. */
  readonly entries: number;
  readonly scale: number;
}

/** Memory of a read. `slabs` and `settings` are rows `layer` of the tables. */
export interface PrefillPlaces<P> {
  readonly slabs: P;
  readonly settings: P;
  readonly records: P;
  /** The region's base. */
  readonly region: P;
  /** As `promptBuffers` has them. */
  readonly queries: P;
  readonly rowSums: P;
  readonly votes: P;
  readonly kept: P;
  readonly keptCounts: P;
  /** Null where no sequence numbers its entries anew. */
  readonly unrotated: P | null;
  /** `rotaryTable`; null for a model without. */
  readonly rotaryTable: P | null;
  /** float32 `[heads]`; null for a model without. */
  readonly slopes: P | null;
  /** The place that stands for null. */
  readonly none: P;
}

/** Sizes and arguments that the calls of a read share. */
export function prefillArguments<P>(
  { model }: PrefillKernels,
  sizes: PrefillSizes,
  places: PrefillPlaces<P>,
) {
  const { layers, heads, headDim, dtype } = model;
  const tableBytes = sequenceBuffers(model, sizes.maxSequences);
  const scratch = prefillBuffers(model, sizes.queryStride, sizes.capacity);
  const regionBytes = slabLayout(model, sizes.capacity).bytes;
  const optional = (place: P | null, bytes: number) =>
    argument.read(place ?? places.none, place === null ? 0 : bytes);
  return {
    optional,
    scratch,
    element: dtypeBytes(dtype),
    width: heads * headDim,
    window: argument.int32(model.slidingWindow(sizes.layer) ?? 0),
    slabs: argument.read(places.slabs, tableBytes.slabs / layers),
    records: argument.read(places.records, tableBytes.records),
    settings: argument.read(places.settings, tableBytes.settings / layers),
    sequence: argument.int32(sizes.sequence),
    rows: argument.int32(sizes.rows),
    region: [argument.update(places.region, regionBytes), argument.int32(sizes.capacity)],
    unrotated: argument.update(
      places.unrotated ?? places.none,
      places.unrotated === null ? 0 : scratch.unrotated,
    ),
  };
}

/**
 * Copies what a sequence has cached to a region, in order of position.
 * @param isPrefill new tokens follow, so that keys must be turned; otherwise it only moves, into a larger slab
 * @param isReset a prompt or a turn begins: scores that belong to one read alone begin at zero
 * @param slabCapacity entries that the sequence's slab has room for
 * @param rotaryRows rows of `rotaryTable`
 */
export function liftCall<P>(
  kernels: PrefillKernels,
  sizes: PrefillSizes,
  places: PrefillPlaces<P>,
  options: { isPrefill: boolean; isReset: boolean; slabCapacity: number; rotaryRows: number },
): KernelCall<P> {
  const { slabs, settings, sequence, region, unrotated, optional } = prefillArguments(kernels, sizes, places);
  const { isPrefill, isReset, slabCapacity, rotaryRows } = options;
  const turnBytes = 4 * rotaryRows * (kernels.model.rotary?.dim ?? 0);
  return {
    label: `lift of layer ${sizes.layer}`,
    source: kernels.lift,
    grid: [Math.max(1, Math.ceil(slabCapacity / LIFT_SLOTS)), kernels.model.kvHeads, 1],
    block: [prefillThreads.lift, 1, 1],
    arguments: [
      slabs,
      settings,
      sequence,
      ...region,
      unrotated,
      optional(places.rotaryTable, turnBytes),
      argument.int32(Number(isPrefill)),
      argument.int32(Number(isReset)),
    ],
  };
}

/** Projections of the new tokens, not yet turned; strides are elements from one row to the next. */
export interface Projections<P> {
  readonly q: P;
  readonly k: P;
  readonly v: P;
  readonly qStride: number;
  readonly kStride: number;
  readonly vStride: number;
}

/** Adds the new tokens to the region, and turns queries and keys. @param rotaryRows rows of `rotaryTable` */
export function appendCall<P>(
  kernels: PrefillKernels,
  sizes: PrefillSizes,
  places: PrefillPlaces<P>,
  { q, k, v, qStride, kStride, vStride }: Projections<P>,
  rotaryRows: number,
): KernelCall<P> {
  const { heads, kvHeads, headDim, rotary } = kernels.model;
  const { records, settings, sequence, region, unrotated, optional, element, scratch } = prefillArguments(
    kernels,
    sizes,
    places,
  );
  const span = (stride: number, width: number) => element * ((sizes.rows - 1) * stride + width * headDim);
  return {
    label: `append of ${sizes.rows} tokens to layer ${sizes.layer}`,
    source: kernels.append,
    grid: [sizes.rows, 1, 1],
    block: [prefillThreads.append, 1, 1],
    arguments: [
      records,
      settings,
      sequence,
      argument.read(q, span(qStride, heads)),
      argument.read(k, span(kStride, kvHeads)),
      argument.read(v, span(vStride, kvHeads)),
      argument.int32(qStride),
      argument.int32(kStride),
      argument.int32(vStride),
      ...region,
      argument.write(places.queries, scratch.queries),
      argument.int32(sizes.queryStride),
      unrotated,
      optional(places.rotaryTable, 4 * rotaryRows * (rotary?.dim ?? 0)),
      argument.int32(sizes.layer),
    ],
  };
}

function prefillCall<P>(
  kernels: PrefillKernels,
  kernel: RowKernel,
  sizes: PrefillSizes,
  places: PrefillPlaces<P>,
  { label, count, heads, out }: { label: string; count: number; heads: number; out: P | null },
): KernelCall<P> {
  const { sequence, settings, region, optional, scratch, rows, window, element, width } = prefillArguments(
    kernels,
    sizes,
    places,
  );
  const tableBytes = sequenceBuffers(kernels.model, sizes.maxSequences);
  return {
    label: `${label} of ${sizes.rows} tokens in layer ${sizes.layer}`,
    source: kernel.source,
    grid: [Math.ceil(count / kernel.rows), heads, 1],
    block: [kernel.threads, 1, 1],
    arguments: [
      argument.update(places.records, tableBytes.records),
      settings,
      sequence,
      ...region,
      argument.read(places.queries, scratch.queries),
      argument.int32(sizes.queryStride),
      rows,
      optional(places.slopes, 4 * kernels.model.heads),
      argument.write(out ?? places.none, out === null ? 0 : element * sizes.rows * width),
      argument.update(places.rowSums, scratch.rowSums),
      argument.float32(sizes.scale),
      window,
      argument.int32(sizes.layer),
    ],
  };
}

/** Attends to what is kept and what is new. @param out `[rows, heads · headDim]` */
export function attendPrefillCall<P>(
  kernels: PrefillKernels,
  sizes: PrefillSizes,
  places: PrefillPlaces<P>,
  out: P,
): KernelCall<P> {
  const { heads } = kernels.model;
  return prefillCall(kernels, kernels.attend, sizes, places, {
    label: "attention",
    count: sizes.rows,
    heads,
    out,
  });
}

/** Adds the new tokens' rows to the scores; none where the policy does not score by attention. */
export function scoreCalls<P>(
  kernels: PrefillKernels,
  sizes: PrefillSizes,
  places: PrefillPlaces<P>,
  { scoring }: KvPolicy,
): KernelCall<P>[] {
  if (scoring.from !== "attention") return [];
  const { heads, kvHeads } = kernels.model;
  const { rows, entries } = sizes;
  return [
    prefillCall(kernels, kernels.sums, sizes, places, { label: "score rows", count: rows, heads, out: null }),
    prefillCall(kernels, kernels.columns, sizes, places, {
      label: "score columns",
      count: entries,
      heads: kvHeads,
      out: null,
    }),
  ];
}
